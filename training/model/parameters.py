"""The table at the start of each phase: what trains and what does not, part by part."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from training.stages import Phase

if TYPE_CHECKING:
    from torch import nn


ADAPTED = ".lora"
"""Follows the name of a part in counts of what is trained beside its weights."""


def count_parameters(parts: Mapping[str, nn.Module]) -> dict[str, int]:
    """Return the number of parameters of each part; a LoRA's stand under a name of their own."""
    counts = {}
    for name, part in parts.items():
        beside = sum(p.numel() for key, p in part.named_parameters() if ".lora_" in key)
        counts[name] = sum(p.numel() for p in part.parameters()) - beside
        counts |= {name + ADAPTED: beside} if beside else {}
    return counts


def trained(phase: Phase, counts: Mapping[str, int]) -> set[str]:
    """Return which of the names in `counts` train: in place of a part, the LoRA beside it."""
    mine = {name for name in counts if name.removesuffix(ADAPTED) in phase.trainable}
    return {name for name in mine if name + ADAPTED not in counts}


def parts_table(phase: Phase, counts: Mapping[str, int]) -> str:
    """Return the table as text, trainable parts first."""
    trains = trained(phase, counts)
    order = sorted(counts, key=lambda name: name not in trains)
    width = max(len(name) for name in counts)
    total = sum(counts[name] for name in trains)
    lines = [f"{phase.name}: {total:,} parameters train, {sum(counts.values()) - total:,} are frozen"]
    for name in order:
        state = "trains" if name in trains else "frozen"
        lines.append(f"  {name:<{width}}  {counts[name]:>15,}  {state}")
    return "\n".join(lines)
