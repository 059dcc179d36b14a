"""How ZeRO divides flat tensors among workers, and how one division's parts become another's.

A group's parameters stand one after another in a layout. `flat` (stages 1 and 2) cuts the whole row into
equal stretches; `each` (stage 3) cuts every parameter by itself, so that a part holds a piece of each.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

Group = list[tuple[str, int]]
Division = Literal["flat", "each"]
Shard = Mapping[str, Any]
"""Flat tensors by key, or what reads like them by slices."""


class Piece(NamedTuple):
    """`length` numbers of parameter `name`, its `start`-th on, at `offset` of a worker's part."""

    name: str
    start: int
    length: int
    offset: int


def pieces(division: Division, group: Group, size: int, rank: int, world: int) -> Iterator[Piece]:
    """Yield what the part of worker `rank` of `world` holds, in order; parts have `size` numbers."""
    offset = 0
    for name, length in group:
        if division == "each":
            share = -(-length // world)
            start, end = min(rank * share, length), min((rank + 1) * share, length)
            place, step = offset, share
        else:
            first = rank * size
            start, end = max(first - offset, 0), min(first + size - offset, length)
            place, step = offset + start - first, length
        if start < end:
            yield Piece(name, start, end - start, place)
        offset += step


def part(
    shards: Sequence[Shard], key: str, group: Group, source: Division, mine: tuple[Division, int, int, int]
) -> Tensor:
    """Return one worker's part of a flat tensor, zeros where it pads, from the parts of a team of any size.

    `mine` is what `pieces` is asked: division, size, rank and world. Only what is needed is read.
    """
    division, size, rank, world = mine
    found = torch.zeros(size)
    where: dict[str, list[tuple[Piece, int]]] = {}
    for number, shard in enumerate(shards):
        for piece in pieces(source, group, _length(shard[key]), number, len(shards)):
            where.setdefault(piece.name, []).append((piece, number))
    for wanted in pieces(division, group, size, rank, world):
        for have, number in where[wanted.name]:
            start = max(wanted.start, have.start)
            end = min(wanted.start + wanted.length, have.start + have.length)
            if start < end:
                there, here = have.offset - have.start, wanted.offset - wanted.start
                found[here + start : here + end] = shards[number][key][there + start : there + end]
    return found


def _length(tensor: Any) -> int:
    shape = tensor.get_shape() if hasattr(tensor, "get_shape") else tensor.shape
    return int(shape[0])
