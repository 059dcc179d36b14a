"""What the optimiser does to which weights of a backbone: which decay, and which take smaller steps."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch import nn
from transformers.models.umt5.modeling_umt5 import UMT5Attention


def groups(module: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Return an optimiser's groups: matrices decay, vectors do not; `share` is of the rate that each takes.

    T5's attention has no 1/√d: its query weights are √d smaller than others instead, so AdamW's steps, of one
    length for all, are √d too long for them. A painter's attention froze that way: most heads gave 0.92 to
    1.00 of their weight to one word, and nothing was learned from the others (docs/results.md).
    """
    trained = [p for p in module.parameters() if p.requires_grad]
    share = {id(weight): value for weight, value in _queries(module)}
    found: dict[tuple[float, float], list[nn.Parameter]] = {}
    for parameter in trained:
        key = (weight_decay if parameter.ndim > 1 else 0.0, share.get(id(parameter), 1.0))
        found.setdefault(key, []).append(parameter)
    return [
        {"params": members, "weight_decay": decay, "share": value}
        for (decay, value), members in found.items()
    ]


def _queries(module: nn.Module) -> Iterator[tuple[nn.Parameter, float]]:
    for part in module.modules():
        if isinstance(part, UMT5Attention):
            yield part.q.weight, part.key_value_proj_dim**-0.5
