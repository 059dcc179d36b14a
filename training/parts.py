"""The table at the start of each phase: what trains and what does not, part by part."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from training.stages import Phase

if TYPE_CHECKING:
    from torch import nn


def count_parameters(parts: Mapping[str, nn.Module]) -> dict[str, int]:
    """Return the number of parameters of each part."""
    return {name: sum(p.numel() for p in part.parameters()) for name, part in parts.items()}


def parts_table(phase: Phase, counts: Mapping[str, int]) -> str:
    """Return the table as text, trainable parts first."""
    order = sorted(counts, key=lambda name: name not in phase.trainable)
    width = max(len(name) for name in counts)
    total = sum(counts[name] for name in phase.trainable)
    lines = [f"{phase.name}: {total:,} parameters train, {sum(counts.values()) - total:,} are frozen"]
    for name in order:
        state = "trains" if name in phase.trainable else "frozen"
        lines.append(f"  {name:<{width}}  {counts[name]:>15,}  {state}")
    return "\n".join(lines)
