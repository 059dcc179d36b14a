"""Reading media that lies inside larger files: a range of a tar, a row of a Parquet file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

from curation.errors import MediaError
from curation.sources._parquet_file import opened
from curation.sources._tar import BLOCK, check_header
from curation.sources.members import ParquetRow, TarMember
from curation.stores import StoreError, asking, place

BATCH_ROWS = 8  # of media in memory at once


def tar_bytes(member: TarMember, chunk: int) -> Iterator[bytes]:
    """A member's bytes, in chunks. Raises StoreError, or MediaError if the shard is not as it was listed."""
    with asking():
        fs, path = place(member.file)
        start, end = member.offset - BLOCK, member.offset + member.size
        head = fs.cat_file(path, start=start, end=member.offset)
    if not check_header(head, member.size):
        raise MediaError("missing", "the shard has changed since it was listed")
    for at in range(member.offset, end, chunk):
        with asking():
            yield fs.cat_file(path, start=at, end=min(at + chunk, end))


class RowReader:
    """Reads rows of media, at best in the order in which they lie: going on costs nothing, going back does.

    Holds one file open, and some rows of it.
    """

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._place: tuple[str, str] | None = None
        self._file: Any = None
        self._group = -1
        self._batches: Iterator[Any] = iter(())
        self._batch: Any = None
        self._first = 0  # row of the batch's first, in the file

    def read(self, row: ParquetRow) -> bytes:
        """The bytes of one row. Raises StoreError, or MediaError if it has none or the file is damaged."""
        import pyarrow as pa

        try:
            value = self._value(row)
        except (StoreError, MediaError):
            self.close()
            raise
        except (OSError, ValueError, pa.ArrowException) as error:
            self.close()
            raise MediaError("broken_shard", f"{type(error).__name__}: {error}") from error
        if isinstance(value, dict):
            value = value.get("bytes")
        if not value:
            raise MediaError("no_media", f"row {row.row} has no bytes in {row.column!r}")
        return bytes(value)

    def close(self) -> None:
        """Let go of the file."""
        self._stack.close()
        self._place, self._batch = None, None

    def _value(self, row: ParquetRow) -> Any:
        if self._place != (row.file, row.column):
            self.close()
            self._file = self._stack.enter_context(opened(row.file))
            self._place, self._group = (row.file, row.column), -1
        group, start = self._find(row.row)
        if group != self._group or row.row < self._first:
            self._batches = self._file.iter_batches(
                BATCH_ROWS, row_groups=[group], columns=[row.column], use_threads=False
            )
            self._group, self._first, self._batch = group, start, None
        while self._batch is None or row.row >= self._first + len(self._batch):
            self._first += len(self._batch) if self._batch is not None else 0
            self._batch = next(self._batches)
        return self._batch.column(0)[row.row - self._first].as_py()

    def _find(self, row: int) -> tuple[int, int]:
        """The row group of a row, and that group's first row."""
        start, footer = 0, self._file.metadata
        for group in range(footer.num_row_groups):
            rows = footer.row_group(group).num_rows
            if row < start + rows:
                return group, start
            start += rows
        raise MediaError("missing", f"there is no row {row}: the file has changed since it was listed")
