"""Which bytes files had when they were last read, so that a nightly run reads only what is new or changed.

A file counts as unchanged if its size and stamp are those of then: on this machine the time of its last
change, in nanoseconds, and its inode; in an object store its ETag. The memory lies in the dataset's folder,
where Delta passes over names that start with `_`; nothing is lost with it but time.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from curation.sources import Item
from curation.stores import place

SEEN = "_seen.parquet"
SCHEMA = pa.schema([(name, pa.string()) for name in ("uri", "stamp", "sha256")])
FRESH_SECONDS = 2.0  # a file that changed so lately may change again within its clock's tick


class Seen:
    """What one dataset remembers of its inputs."""

    def __init__(self, dataset: str) -> None:
        at = place(dataset)
        self._fs, self._path = at.fs, f"{at.path.rstrip('/')}/{SEEN}"
        self._began = time.time()

    def recall(self, items: Sequence[Item]) -> dict[str, str]:
        """The hash of each file that is as it was, by its uri."""
        table = self._read()
        wanted = [item for item in items if item.stamp and not item.problem]
        places = pc.index_in(pa.array([item.uri for item in wanted], pa.string()), table["uri"])
        known = table.take(places)
        same = pc.equal(known["stamp"], pa.array([_stamp(item) for item in wanted], pa.string()))
        hit = known.filter(pc.fill_null(same, False))
        return dict(zip(hit["uri"].to_pylist(), hit["sha256"].to_pylist(), strict=True))

    def keep(self, items: Sequence[Item], hashes: Mapping[str, str | None]) -> None:
        """Remember what was read now, beside what is known of files that were not listed."""
        told = [item for item in items if item.stamp and hashes.get(item.uri) and not self._young(item)]
        columns = ([item.uri for item in told], map(_stamp, told), [hashes[item.uri] for item in told])
        before = self._read()
        listed = pa.array([item.uri for item in items], pa.string())
        others = before.filter(pc.invert(pc.is_in(before["uri"], listed)))
        now = pa.concat_tables(
            [others, pa.table([pa.array(one, pa.string()) for one in columns], schema=SCHEMA)]
        ).sort_by("uri")
        if now.equals(before):
            return
        sink = pa.BufferOutputStream()
        pq.write_table(now, sink, compression="zstd")
        self._fs.pipe_file(self._path, sink.getvalue().to_pybytes())

    def _read(self) -> pa.Table:
        """What is there; nothing if a run was killed while it wrote."""
        try:
            with self._fs.open(self._path, "rb") as file:
                return pq.ParquetFile(file).read().select(SCHEMA.names).cast(SCHEMA)
        except (OSError, pa.ArrowInvalid, KeyError):
            return SCHEMA.empty_table()

    def _young(self, item: Item) -> bool:
        changed, _, inode = str(item.stamp).partition(":")
        return bool(inode) and int(changed) / 1e9 > self._began - FRESH_SECONDS


def _stamp(item: Item) -> str:
    return f"{item.size} {item.stamp}"
