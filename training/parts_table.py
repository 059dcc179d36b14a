"""The table at the start of each stage: what trains and what does not, part by part."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from torch import nn


def count(parts: Mapping[str, nn.Module], names: Iterable[str]) -> dict[str, int]:
    """Return the number of parameters of each named part."""
    return {name: sum(p.numel() for p in parts[name].parameters()) for name in names}


def render(stage: str, trainable: Mapping[str, int], frozen: Mapping[str, int]) -> str:
    """Return the table as text."""
    rows = [(name, number, "trains") for name, number in trainable.items()]
    rows += [(name, number, "frozen") for name, number in frozen.items()]
    width = max(len(name) for name, _, _ in rows)
    lines = [f"  {name:<{width}}  {number:>15,}  {state}" for name, number, state in rows]
    total = sum(trainable.values()), sum(frozen.values())
    return "\n".join([f"{stage}: {total[0]:,} parameters train, {total[1]:,} are frozen", *lines])
