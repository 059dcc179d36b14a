"""What a run has finished but not yet published, so that a killed run goes on instead of starting over.

Lies in `DATASET/_staging/<recipe>/<stage>/<name>.parquet` (Delta passes over names that start with `_`) and
goes away once the version is published. A file is there whole or not at all.
"""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from curation.stores import Place, make_folder, place

ROOM = "_staging"
READERS = 16  # small files read at once: waiting for storage, not computing, takes the time
AHEAD = 64  # tables read before somebody asks: a table of one row fills 20 KB of memory
_SUFFIX = ".parquet"


class Staging:
    """The staged tables of one recipe on one dataset. Cheap to copy to other processes."""

    def __init__(self, dataset: str, recipe_sha256: str) -> None:
        self.dataset = dataset
        self.key = recipe_sha256[:16]

    def __reduce__(self) -> tuple[type[Staging], tuple[str, str]]:
        return Staging, (self.dataset, self.key)

    @cached_property
    def _fs(self) -> Any:
        return place(self.dataset).fs

    @cached_property
    def _room(self) -> str:
        return f"{place(self.dataset).path.rstrip('/')}/{ROOM}"

    def _path(self, stage: str, name: str = "") -> str:
        folder = f"{self._room}/{self.key}/{stage}"
        return f"{folder}/{name}{_SUFFIX}" if name else folder

    def has(self, stage: str, name: str) -> bool:
        """Whether a table is staged."""
        return bool(self._fs.exists(self._path(stage, name)))

    def names(self, stage: str) -> dict[str, int]:
        """Bytes of each staged table of a stage."""
        self._fs.invalidate_cache()
        try:
            listed = self._fs.ls(self._path(stage), detail=True)
        except FileNotFoundError:
            return {}
        files = ((entry["name"].rpartition("/")[2], entry["size"]) for entry in listed)
        return {name.removesuffix(_SUFFIX): int(size) for name, size in files if name.endswith(_SUFFIX)}

    def write(self, stage: str, name: str, table: pa.Table) -> None:
        """Stage a table, replacing one of that name."""
        sink = pa.BufferOutputStream()
        # Most tables are a row or three, which dictionaries and statistics take a third of the time of.
        pq.write_table(table, sink, compression="zstd", use_dictionary=False, write_statistics=False)
        path = self._path(stage, name)
        make_folder(self.dataset, Place(self._fs, self._path(stage)))
        if not _is_local(self._fs):  # object stores show a file only once it is whole
            self._fs.pipe_file(path, sink.getvalue().to_pybytes())
            return
        partial = f"{path}.{uuid.uuid4().hex}.partial"
        with open(partial, "wb") as file:
            file.write(sink.getvalue())
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)

    def read(
        self, stage: str, names: Iterable[str], columns: Sequence[str] | None = None
    ) -> Iterator[pa.Table]:
        """Staged tables in the order of `names`, with only those columns; few of them are held at once."""
        paths = [self._path(stage, name) for name in names]
        with ThreadPoolExecutor(READERS) as readers:
            for start in range(0, len(paths), AHEAD):
                yield from readers.map(lambda path: self._read(path, columns), paths[start : start + AHEAD])

    def _read(self, path: str, columns: Sequence[str] | None) -> pa.Table:
        with self._fs.open(path, "rb") as file:
            return pq.ParquetFile(file).read(columns=None if columns is None else list(columns))

    def remove(self, stage: str, names: Iterable[str]) -> None:
        """Remove staged tables."""
        for name in names:
            self._fs.rm_file(self._path(stage, name))

    def others(self, idle_hours: float) -> list[Staging]:
        """What runs of other recipes have left here and not touched for so long."""
        newest = {key: max(self._ages(key), default=0.0) for key in self._keys() if key != self.key}
        limit = time.time() - idle_hours * 3600
        return [Staging(self.dataset, key) for key, touched in newest.items() if touched < limit]

    def _keys(self) -> list[str]:
        found = self._fs.ls(self._room, detail=False) if self._fs.exists(self._room) else []
        return [path.rstrip("/").rpartition("/")[2] for path in found]

    def _ages(self, key: str) -> list[float]:
        return [self._fs.modified(path).timestamp() for path in self._fs.find(f"{self._room}/{key}")]

    def clear(self) -> None:
        """Remove what this recipe has staged, and the room if nothing else is in it."""
        self._fs.invalidate_cache()
        if self._fs.exists(f"{self._room}/{self.key}"):
            self._fs.rm(f"{self._room}/{self.key}", recursive=True)
        if self._fs.exists(self._room) and not self._fs.ls(self._room):
            self._fs.rm(self._room, recursive=True)


def _is_local(fs: Any) -> bool:
    return "file" in (fs.protocol if isinstance(fs.protocol, tuple) else (fs.protocol,))
