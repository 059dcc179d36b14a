"""Which weights decay: matrices, not gains and biases."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from torch import nn


def decaying(parameters: Iterable[nn.Parameter], weight_decay: float) -> list[dict[str, Any]]:
    """Return an optimiser's groups, none of them empty."""
    found = list(parameters)
    matrices = [p for p in found if p.ndim > 1]
    others = [p for p in found if p.ndim <= 1]
    groups = [(matrices, weight_decay), (others, 0.0)]
    return [{"params": members, "weight_decay": decay} for members, decay in groups if members]
