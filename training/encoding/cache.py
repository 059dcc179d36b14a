"""What frozen encoders said about a sample, kept in memory so that they are asked once."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable

from torch import Tensor

Tensors = dict[str, Tensor]


class Cache:
    """Tensors by key, the longest unused forgotten once they exceed `megabytes`."""

    def __init__(self, megabytes: int) -> None:
        self._room = megabytes * 2**20
        self._entries: OrderedDict[Hashable, Tensors] = OrderedDict()
        self._used = 0

    def __contains__(self, key: Hashable) -> bool:
        return key in self._entries

    def get(self, key: Hashable, make: Callable[[], Tensors]) -> Tensors:
        """Return what is kept under `key`, made anew if nothing is."""
        if key in self._entries:
            self._entries.move_to_end(key)
            return self._entries[key]
        tensors = self._entries[key] = make()
        self._used += _size(tensors)
        while self._used > self._room and self._entries:
            self._used -= _size(self._entries.popitem(last=False)[1])
        return tensors


def _size(tensors: Tensors) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())
