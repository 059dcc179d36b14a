"""What the optimiser does to which weights of a backbone: which decay, and which take smaller steps."""

from __future__ import annotations

from typing import Any

from torch import nn
from transformers.models.umt5.modeling_umt5 import UMT5Attention

from training.parallel.decay import decaying


def groups(module: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Return an optimiser's groups: matrices decay, vectors do not; `share` is of the rate that each takes.

    T5's attention has no 1/√d: its query weights are √d smaller than others instead, so AdamW's steps, of one
    length for all, are √d too long for them. A painter's attention froze that way: most heads gave 0.91 to
    1.00 of their weight to one word, and nothing was learned from the others (docs/results.md).
    """
    slow = [part for part in module.modules() if isinstance(part, UMT5Attention)]
    queries = [part.q.weight for part in slow if part.q.weight.requires_grad]
    theirs = set(map(id, queries))
    others = (p for p in module.parameters() if p.requires_grad and id(p) not in theirs)
    found = [{**group, "share": 1.0} for group in decaying(others, weight_decay)]
    if queries:
        share = slow[0].key_value_proj_dim ** -0.5
        found.append({"params": queries, "weight_decay": weight_decay, "share": share})
    return found
