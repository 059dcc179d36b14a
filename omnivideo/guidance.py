"""Classifier-free guidance (section 5.1): both branches in one batch, or one on each of two processes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

if TYPE_CHECKING:
    from omnivideo.model import OmniVideoModel


def guided(negative: Tensor, positive: Tensor, scale: float) -> Tensor:
    """negative + scale · (positive − negative); 1 gives the positive branch."""
    return negative + scale * (positive - negative)


def guided_flow(
    model: OmniVideoModel,
    latents: Tensor,
    timestep: Tensor,
    condition: tuple[Tensor, Tensor | None],
    scale: float,
    group: Any = None,
) -> Tensor:
    """Wan's output for latents [B, ...] under a condition (c, mask) of B rows, or of 2B, negatives first.

    With `group`, a torch.distributed group of two ranks that hold the same latents, each computes one branch.
    """
    c, mask = condition
    if len(c) == len(latents):
        return model.predict_flow(latents, timestep.expand(len(latents)), c, mask)
    if group is not None:
        negative, positive = _shared(model, latents, timestep, condition, group)
    else:
        rows = latents.repeat(2, 1, 1, 1, 1)
        negative, positive = model.predict_flow(rows, timestep.expand(len(rows)), c, mask).chunk(2)
    return guided(negative, positive, scale)


def _shared(
    model: OmniVideoModel,
    latents: Tensor,
    timestep: Tensor,
    condition: tuple[Tensor, Tensor | None],
    group: Any,
) -> list[Tensor]:
    from torch import distributed

    rank, (c, mask) = distributed.get_rank(group), condition
    own_mask = None if mask is None else mask.chunk(2)[rank]
    own = model.predict_flow(latents, timestep.expand(len(latents)), c.chunk(2)[rank], own_mask)
    branches = [torch.empty_like(own) for _ in range(2)]
    distributed.all_gather(branches, own.contiguous(), group=group)
    return branches
