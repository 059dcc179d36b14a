"""Parquet files of others: opened with a look at the footer before anything is read."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from curation.errors import InputError
from curation.sources._source import STEP
from curation.stores import StoreError, asking, is_local, place

MAX_RATIO = 1000  # bytes that a footer announces for each of the file; text shrinks to a tenth
MIN_ROWS = 100_000  # that a file may have whatever its size
BUFFER_BYTES = 1 << 20  # read ahead of a column, instead of the whole column of a row group


@contextmanager
def opened(uri: str, dictionaries: list[str] | None = None) -> Iterator[Any]:
    """A ParquetFile, closed at the end; of the columns `dictionaries`, repeated values are held once.

    Raises StoreError if it cannot be read, ValueError if it is no Parquet or announces too much.
    """
    import pyarrow.parquet as pq

    with asking():
        fs, path = place(uri)
        file = fs.open(path, "rb", **({} if is_local(uri) else {"block_size": BUFFER_BYTES}))
    with file:
        size = int(file.seek(0, 2))
        file.seek(0)
        found = pq.ParquetFile(
            file, buffer_size=BUFFER_BYTES, pre_buffer=False, read_dictionary=dictionaries, memory_map=False
        )
        _check(found.metadata, size)
        yield found


def _check(footer: Any, size: int) -> None:
    announced = sum(footer.row_group(one).total_byte_size for one in range(footer.num_row_groups))
    if announced > MAX_RATIO * size:
        raise ValueError(f"its footer announces {announced:,} bytes in a file of {size:,}")
    if footer.num_rows > max(MIN_ROWS, size):
        raise ValueError(f"its footer announces {footer.num_rows:,} rows in a file of {size:,} bytes")


def unusable(uri: str, error: Exception) -> InputError:
    """The error for a file that cannot be used at all."""
    if isinstance(error, StoreError):
        return error.as_input_error(f"{uri} cannot be read", STEP)
    first = next(iter(str(error).splitlines()), "")
    return InputError(f"{uri} is no usable Parquet file: {first}", STEP, "write it again, or leave it out")
