"""The data files of the version before, when rows have to go out of them. No file is changed in place."""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterator
from typing import Any
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from curation.dataset import Dataset
from curation.store.shard import PARTITION, ShardFile, ShardWriter, shard_path
from curation.stores import place

BATCH_ROWS = 64  # of a file that is written again; rows with media weigh megabytes


class OldFiles:
    """The data files of one version."""

    def __init__(self, base: Dataset) -> None:
        self.uri = base.uri
        self._fs, root = place(base.uri)
        self._root = root.rstrip("/")
        actions = pa.table(base.delta.get_add_actions(flatten=True))
        self.files = [_described(row) for row in actions.to_pylist()]

    def holding(self, sample_ids: Collection[str]) -> list[ShardFile]:
        """The files with any of these rows."""
        if not sample_ids:
            return []
        wanted = pa.array(sorted(sample_ids), pa.string())
        return [file for file in self.files if pc.any(pc.is_in(self._ids(file), wanted)).as_py()]

    def without(
        self, sample_ids: Collection[str], files: list[ShardFile], attempt: str
    ) -> Iterator[ShardFile]:
        """Write the other rows of `files` again, a new file for each that has any."""
        going = pa.array(sorted(sample_ids), pa.string())
        for number, file in enumerate(files):
            if pc.all(pc.is_in(self._ids(file), going)).as_py():
                continue
            path = shard_path(attempt, file.verdict, f"rest-{number:05d}")
            with self._open(file) as source, ShardWriter(self.uri, path, file.verdict) as writer:
                for batch in pq.ParquetFile(source).iter_batches(BATCH_ROWS):
                    stay = pc.invert(pc.is_in(batch["sample_id"], going))
                    rows = pa.Table.from_batches([batch]).filter(stay)
                    if len(rows):
                        writer.write(rows)
                yield writer.finish()

    def renamed(self, leaving: list[ShardFile], attempt: str) -> Iterator[ShardFile]:
        """All files but `leaving` under new names, without reading them: linked where the storage can."""
        left = {file.path for file in leaving}
        staying = [file for file in self.files if file.path not in left]
        for number, file in enumerate(staying):
            path = shard_path(attempt, file.verdict, f"same-{number:05d}")
            self._copy(self._place(file), f"{self._root}/{path}")
            yield file._replace(path=path)

    def _ids(self, file: ShardFile) -> pa.ChunkedArray:
        with self._open(file) as source:
            return pq.read_table(source, columns=["sample_id"])["sample_id"]

    def _open(self, file: ShardFile) -> Any:
        return self._fs.open(self._place(file), "rb")

    def _place(self, file: ShardFile) -> str:
        return f"{self._root}/{unquote(file.path)}"

    def _copy(self, source: str, target: str) -> None:
        try:
            os.link(source, target)
        except OSError:  # not on this machine's disk, or a disk without links
            self._fs.cp_file(source, target)


def _described(row: dict[str, Any]) -> ShardFile:
    """A file as the log has it."""
    ranges: dict[str, dict[str, Any]] = {"min": {}, "max": {}}
    for key, value in row.items():
        side, _, name = key.partition(".")
        if side in ranges and value is not None and "." not in name:
            ranges[side][name] = value
    stats = {"numRecords": row["num_records"], "minValues": ranges["min"], "maxValues": ranges["max"]}
    text = json.dumps({**stats, "nullCount": {}})
    return ShardFile(row["path"], row[f"partition.{PARTITION}"], row["size_bytes"], row["num_records"], text)
