from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from training.parallel.partition import Division, Group, part, pieces

groups = st.lists(st.integers(1, 40), min_size=1, max_size=6).map(
    lambda lengths: [(f"p{i}", length) for i, length in enumerate(lengths)]
)
divisions = st.sampled_from(["flat", "each"])
worlds = st.integers(1, 5)


def part_size(division: Division, group: Group, world: int) -> int:
    """What a worker's part takes: equal stretches with room to pad, or a share of each parameter."""
    whole = sum(length for _, length in group)
    return -(-whole // world) + 2 if division == "flat" else sum(-(-n // world) for _, n in group)


def parts(division: Division, group: Group, world: int) -> list[dict[str, Tensor]]:
    """All workers' parts of 1, 2, 3 …"""
    shards = []
    for rank in range(world):
        flat = torch.zeros(part_size(division, group, world))
        for piece in pieces(division, group, len(flat), rank, world):
            before = sum(n for name, n in group if int(name[1:]) < int(piece.name[1:]))
            values = torch.arange(piece.length) + before + piece.start + 1
            flat[piece.offset : piece.offset + piece.length] = values
        shards.append({"0.weight": flat})
    return shards


@given(groups, divisions, worlds)
def test_parts_hold_every_number_once(group: Group, division: Division, world: int) -> None:
    """However many workers there are and however parameters are cut."""
    held = torch.cat([shard["0.weight"] for shard in parts(division, group, world)])
    whole = sum(length for _, length in group)
    assert sorted(held[held > 0].tolist()) == list(range(1, whole + 1))


@given(groups, divisions, worlds, divisions, worlds)
def test_parts_of_one_team_become_those_of_another(
    group: Group, source: Division, before: int, division: Division, world: int
) -> None:
    """Of any size, under any stage of ZeRO; padding is zero."""
    shards = parts(source, group, before)
    for rank, expected in enumerate(parts(division, group, world)):
        size = len(expected["0.weight"])
        found = part(shards, "0.weight", group, source, (division, size, rank, world))
        assert torch.equal(found, expected["0.weight"])
