"""Encoded shards: Parquet files of one value a row, each named by the hash of its bytes.

A shard is there whole or not at all, and is never changed: two jobs may write into one folder, and a job that
was killed has lost what it had in hand, nothing else. Row groups hold one row, so that a value is read
without its neighbours.
"""

from __future__ import annotations

import hashlib
import os
import uuid
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch import Tensor

from omnivideo.errors import InputError
from training.encoding.values import Value, digest

ROOM = "shards"
READERS = 16  # footers read at once: waiting for storage takes the time
TYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16, "uint8": torch.uint8}
_TEXT = pa.string()
SCHEMA = pa.schema(
    [
        ("address", _TEXT),
        ("name", _TEXT),
        ("sample_id", _TEXT),
        ("task", _TEXT),
        ("words", _TEXT),
        ("frames", pa.int32()),
        ("height", pa.int32()),
        ("width", pa.int32()),
        ("fps", pa.float64()),
        ("encoder", _TEXT),
        ("dtype", _TEXT),
        ("shape", pa.list_(pa.int32())),
        ("data", pa.binary()),
    ]
)
LIGHT = [name for name in SCHEMA.names if name not in {"shape", "data"}]


class Place(NamedTuple):
    """Where a value lies: the shard's name and the row in it."""

    shard: str
    row: int


def stored_type(value: Value, dtype: str) -> str:
    """Return the type that a value is stored in: pixels are bytes whatever the recipe says."""
    return "uint8" if value.name == "source_shown" else dtype


def describe(value: Value, encoder: str, dtype: str) -> dict[str, Any]:
    """Return the columns that say what a value is of, its address among them."""
    view, stored = value.view, stored_type(value, dtype)
    return {
        "address": value.address(encoder, stored),
        "name": value.name,
        "sample_id": view and view.sample_id,
        "task": view and view.task,
        "words": digest(value.words)[:24] if value.words else None,
        "frames": view and view.bucket.frames,
        "height": view and view.bucket.height,
        "width": view and view.bucket.width,
        "fps": view and float(view.fps),
        "encoder": encoder,
        "dtype": stored,
    }


def packed(tensor: Tensor, dtype: str) -> dict[str, Any]:
    """Return the columns that hold a tensor. Pixels in [-1, 1] that were bytes are those bytes again."""
    kept = (tensor.float() + 1) * 127.5 if dtype == "uint8" else tensor
    kept = (kept.round() if dtype == "uint8" else kept).to(TYPES[dtype]).cpu().contiguous()
    return {"shape": list(kept.shape), "data": kept.view(-1).view(torch.uint8).numpy().tobytes()}


def unpacked(data: Any, shape: Sequence[int], dtype: str) -> Tensor:
    """Return the float32 tensor that `packed` wrote; `data` is a buffer."""
    kept = torch.from_numpy(np.frombuffer(data, np.uint8).copy()).view(TYPES[dtype])
    tensor = kept.view(tuple(shape)).float()
    return tensor / 127.5 - 1 if dtype == "uint8" else tensor


class Shards:
    """The shards in a folder or at a URL."""

    def __init__(self, folder: str) -> None:
        import fsspec

        self.folder = folder
        self._fs, root = fsspec.core.url_to_fs(folder)
        self._room = f"{root.rstrip('/')}/{ROOM}"
        protocols = self._fs.protocol if isinstance(self._fs.protocol, tuple) else (self._fs.protocol,)
        self._local = "file" in protocols

    def write(self, rows: Sequence[dict[str, Any]]) -> int:
        """Write a shard of `rows`, whole or not at all; return its size in bytes."""
        sink = pa.BufferOutputStream()
        table = pa.Table.from_pylist(list(rows), SCHEMA)
        pq.write_table(table, sink, row_group_size=1, compression="none", write_statistics=False)
        data = sink.getvalue()
        path = f"{self._room}/{hashlib.sha256(data).hexdigest()[:40]}.parquet"
        self._fs.makedirs(self._room, exist_ok=True)
        if not self._local:  # object stores show a file only once it is whole
            self._fs.pipe_file(path, data.to_pybytes())
            return int(data.size)
        partial = f"{path}.{uuid.uuid4().hex}.partial"
        with open(partial, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
        return int(data.size)

    def names(self) -> list[str]:
        """Return the names of all shards, in order."""
        self._fs.invalidate_cache()
        if not self._fs.exists(self._room):
            return []
        paths = (path.rstrip("/").rpartition("/")[2] for path in self._fs.ls(self._room, detail=False))
        return sorted(name for name in paths if name.endswith(".parquet"))

    def index(self) -> dict[str, Place]:
        """Return where each value lies, by address. Raises InputError for a damaged shard."""
        return {
            address: Place(name, row)
            for name, table in self._tables(["address"])
            for row, address in enumerate(table["address"].to_pylist())
        }

    def described(self) -> Iterator[dict[str, Any]]:
        """Yield what every value is of (the columns of `describe`)."""
        for _, rows in self.by_shard():
            yield from rows

    def by_shard(self) -> Iterator[tuple[str, list[dict[str, Any]]]]:
        """Yield each shard's name and what its values are of."""
        for name, table in self._tables(LIGHT):
            yield name, table.to_pylist()

    def size(self, name: str) -> int:
        """Return a shard's bytes."""
        return int(self._fs.size(f"{self._room}/{name}"))

    def remove(self, name: str) -> None:
        """Delete a shard."""
        self._fs.rm_file(f"{self._room}/{name}")

    def open(self, name: str) -> pq.ParquetFile:
        """Open a shard. Raises InputError if it is damaged."""
        path = f"{self._room}/{name}"
        try:
            if self._local:
                return pq.ParquetFile(path, memory_map=True)
            return pq.ParquetFile(self._fs.open(path, "rb"))
        except (pa.ArrowInvalid, OSError) as error:
            what = f"the encoded shard {path} is damaged: {str(error).splitlines()[0]}"
            raise InputError(what, "reading encoded shards", "delete it and run omnivideo encode") from None

    def _tables(self, columns: list[str]) -> Iterator[tuple[str, pa.Table]]:
        names = self.names()
        with ThreadPoolExecutor(READERS) as readers:
            found = readers.map(lambda name: self.open(name).read(columns=columns), names)
            yield from zip(names, found, strict=True)
