"""What frozen parts said, read by row from encoded shards a little ahead of need."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from training.encoding.cache import Cache
from training.encoding.encoders import Encoders
from training.encoding.identity import PARTS, Identity
from training.encoding.shards import Place, Shards, stored_type, unpacked
from training.encoding.values import Value
from training.speed.transfer import sent

READERS = 2
KEPT_CALLS = 2  # what was fetched for the step at hand is still there when the next one's is asked for


class Rows:
    """Rows of shards by address, read by threads. `waited` sums the seconds that takers stood waiting."""

    def __init__(self, shards: Shards, index: dict[str, Place]) -> None:
        self.waited = 0.0
        self._shards, self._index = shards, index
        self._pool = ThreadPoolExecutor(READERS, thread_name_prefix="rows")
        self._open = threading.local()
        self._pending: dict[str, tuple[int, Future[Tensor]]] = {}
        self._calls = 0

    def __contains__(self, address: str) -> bool:
        return address in self._index

    def prefetch(self, addresses: Iterable[str]) -> None:
        """Begin to read rows that will be taken soon; those of earlier calls are let go of."""
        self._calls += 1
        for address in addresses:
            _, future = self._pending.get(address, (0, None))
            self._pending[address] = (self._calls, future or self._pool.submit(self._read, address))
        oldest = self._calls - KEPT_CALLS
        self._pending = {a: (call, f) for a, (call, f) in self._pending.items() if call > oldest}

    def take(self, address: str) -> Tensor:
        """Return a row's tensor, float32 on the CPU, waiting for it if need be."""
        if address not in self._pending:
            self._pending[address] = (self._calls, self._pool.submit(self._read, address))
        started = time.perf_counter()
        tensor = self._pending[address][1].result()
        self.waited += time.perf_counter() - started
        return tensor

    def close(self) -> None:
        """Stop the threads; what was begun is dropped."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _read(self, address: str) -> Tensor:
        place = self._index[address]
        files = self._open.__dict__.setdefault("files", {})
        if place.shard not in files:
            files[place.shard] = self._shards.open(place.shard)
        table = files[place.shard].read_row_group(place.row, columns=["dtype", "shape", "data"])
        row = {name: table[name][0] for name in table.column_names}
        return unpacked(row["data"].as_buffer(), row["shape"].as_py(), row["dtype"].as_py())


class FromShards:
    """Values of the model that `identity` names. Its visual tokens need not be there: a head that was just
    trained is asked, and what it says is remembered.
    """

    ahead = 1

    def __init__(self, rows: Rows, identity: Identity, dtype: str, encoders: Encoders, cache: Cache) -> None:
        self._rows, self._dtype = rows, dtype
        self._encoder = {name: identity.encoder(name) for name in PARTS}
        self._encoders, self._cache = encoders, cache

    @property
    def waited(self) -> float:
        """Seconds that training stood waiting for rows."""
        return self._rows.waited

    def prefetch(self, values: Iterable[Value]) -> None:
        """Begin to read what will be asked for soon."""
        self._rows.prefetch(dict.fromkeys(address for v in values for address in self._behind(v)))

    def get(self, value: Value) -> Tensor:
        """Return one value; see `Value` for its shape."""
        address = self._address(value)
        if value.name == "visual" and address not in self._rows:
            return self._cache.get(value, lambda: {"said": self._say(value)})["said"]
        return sent(self._rows.take(address), self._encoders.device, torch.float32)

    def close(self) -> None:
        """Stop reading ahead."""
        self._rows.close()

    def _say(self, value: Value) -> Tensor:
        kind, prompt = value.words
        shown = None if value.view is None else self.get(Value("source_shown", value.view))
        return self._encoders.visual(kind, prompt, shown)  # type: ignore[arg-type]

    def _behind(self, value: Value) -> list[str]:
        """Return the rows that a value will be made of: its own, or its source's if nobody wrote it down."""
        address = self._address(value)
        if value.name != "visual" or address in self._rows:
            return [address]
        if value.view is None or value in self._cache:
            return []
        return [self._address(Value("source_shown", value.view))]

    def _address(self, value: Value) -> str:
        return value.address(self._encoder[value.name], stored_type(value, self._dtype))


@dataclass(frozen=True)
class Encoded:
    """Encoded shards with their index, and the identity of the model that trains from them."""

    shards: Shards
    index: dict[str, Place]
    identity: Identity
    dtype: str

    def with_head(self, model: Path) -> Encoded:
        """Return the same for the vision head of another model's folder: the parts that stay are the same."""
        return replace(self, identity=self.identity.with_part("vision_head", model))

    def encodings(self, encoders: Encoders, cache: Cache) -> FromShards:
        """Return what one phase reads from."""
        return FromShards(Rows(self.shards, self.index), self.identity, self.dtype, encoders, cache)
