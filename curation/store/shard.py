"""Writing one Parquet data file of a dataset: bounded row groups, zstd, and what the log wants to know."""

from __future__ import annotations

import json
from types import TracebackType
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from curation.stores import Place, make_folder, place

PARTITION = "verdict"
INDEXED = ("sample_id", "source_sha256", "uri")  # columns whose range the log keeps, to skip files by
_BYTES = ("media", "edit_source", "thumbnail", "fingerprint")  # no dictionary and no minimum for these
LEVEL = 3  # of zstd: its own default; media inside is compressed already


class ShardFile(NamedTuple):
    """A data file that is written but not yet part of any version."""

    path: str  # relative to the dataset
    verdict: str
    size: int  # bytes
    rows: int
    stats: str  # JSON, as the Delta log has them


def shard_path(attempt: str, verdict: str, name: str) -> str:
    """Where a data file of an attempt lies below the dataset."""
    return f"{PARTITION}={verdict}/part-{attempt}-{name}.parquet"


class ShardWriter:
    """Writes rows of one verdict to `path` below the dataset; the partition column is in the path alone."""

    def __init__(self, dataset: str, path: str, verdict: str) -> None:
        self.path = path
        self.verdict = verdict
        self._fs, root = place(dataset)
        self._target = f"{root.rstrip('/')}/{path}"
        make_folder(dataset, Place(self._fs, self._target.rpartition("/")[0]))
        self._file: Any = self._fs.open(self._target, "wb")
        self._parquet: pq.ParquetWriter | None = None
        self._rows = 0
        self._ranges: dict[str, tuple[str, str]] = {}

    def __enter__(self) -> ShardWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._parquet is not None:
            self._parquet.close()
        self._file.close()

    def write(self, rows: pa.Table) -> None:
        """Write `rows` as one row group."""
        rows = rows.drop_columns([PARTITION]) if PARTITION in rows.column_names else rows
        if self._parquet is None:
            self._parquet = self._open(rows.schema)
        self._parquet.write_table(rows, row_group_size=max(1, len(rows)))
        self._rows += len(rows)
        for name in INDEXED:
            self._widen(name, pc.min_max(rows[name]).as_py())

    def finish(self) -> ShardFile:
        """Close the file and describe it."""
        self.__exit__(None, None, None)
        low = {name: ends[0] for name, ends in self._ranges.items()}
        high = {name: ends[1] for name, ends in self._ranges.items()}
        stats = {"numRecords": self._rows, "minValues": low, "maxValues": high, "nullCount": {}}
        size = int(self._fs.info(self._target)["size"])
        return ShardFile(self.path, self.verdict, size, self._rows, json.dumps(stats))

    def _open(self, schema: pa.Schema) -> pq.ParquetWriter:
        plain = [name for name in schema.names if name not in _BYTES]
        return pq.ParquetWriter(
            self._file,
            schema,
            compression="zstd",
            compression_level=LEVEL,
            use_dictionary=[name for name in plain if name != "scores"],
            write_statistics=plain,
        )

    def _widen(self, name: str, ends: dict[str, Any]) -> None:
        if ends["min"] is None:
            return
        low, high = self._ranges.get(name, (ends["min"], ends["max"]))
        self._ranges[name] = (min(low, ends["min"]), max(high, ends["max"]))
