"""Records in Parquet: their text is read a row group at a time, their media by its own uri."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

from curation.sources._parquet_file import opened
from curation.sources.datasets._sample import Record, RecordError
from curation.sources.members import TableRecord, parquet_row
from curation.sources.parquet import media_columns
from curation.stores import StoreError

BATCH_ROWS = 4096


class TableReader:
    """Reads record after record, at best in their order. Holds one file open, and the text of some rows."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._uri: str | None = None
        self._file: Any = None
        self._group = -1
        self._first = 0  # row of the group's first, in the file
        self._rows: list[dict[str, Any]] = []

    def load(self, at: TableRecord) -> Record:
        """A row, with the uris of its media in place of the media. Raises RecordError if it is not there."""
        import pyarrow as pa

        try:
            return self._load(at)
        except (StoreError, OSError, ValueError, pa.ArrowException) as error:
            self._close()
            raise RecordError("broken_shard", f"{type(error).__name__}: {error}") from error

    def _load(self, at: TableRecord) -> Record:
        if self._uri != at.file:
            self._close()
            self._file = self._stack.enter_context(opened(at.file))
            self._uri, self._media = at.file, media_columns(self._file.schema_arrow)
        if not self._first <= at.row < self._first + len(self._rows):
            self._read_group(at.row)
        media = {name: parquet_row(at.file, at.row, name) for name in self._media}
        return {**self._rows[at.row - self._first], **media}

    def _read_group(self, row: int) -> None:
        footer, start = self._file.metadata, 0
        for group in range(footer.num_row_groups):
            count = footer.row_group(group).num_rows
            if row < start + count:
                names = [name for name in self._file.schema_arrow.names if name not in self._media]
                found = self._file.read_row_group(group, columns=names, use_threads=False)
                self._rows = found.to_pylist() if names else [{} for _ in range(count)]
                self._first = start
                return
            start += count
        raise RecordError("missing", f"there is no row {row}: the file has changed since it was listed")

    def _close(self) -> None:
        self._stack.close()
        self._uri, self._rows = None, []


def count_rows(uri: str) -> int:
    """Rows of a file, as its footer says. Raises as `opened` does."""
    with opened(uri) as file:
        return int(file.metadata.num_rows)


def rows(uri: str, columns: list[str]) -> Iterator[Record]:
    """All rows of a file with those of `columns` that it has, in any case. Raises as `opened` does."""
    with opened(uri) as file:
        there = {name.lower(): name for name in reversed(file.schema_arrow.names)}
        names = {name: there[name.lower()] for name in columns if name.lower() in there}
        for batch in file.iter_batches(BATCH_ROWS, columns=list(names.values()), use_threads=False):
            lists = [batch.column(name).to_pylist() for name in names.values()]
            for values in zip(*lists, strict=True):
                yield dict(zip(names, values, strict=True))
