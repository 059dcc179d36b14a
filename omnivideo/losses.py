"""The objectives of section 3: Eq. 1, Eq. 2 and the alignment that opens stage 2. Each returns a scalar."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor


def vision_loss(pred: Tensor, target: Tensor, kind: Literal["l2", "cosine"] = "l2") -> Tensor:
    """Eq. 1 between predicted and SigLIP2 tokens [B, N, D]: mean squared error, or 1 − cosine a token."""
    pred, target = pred.float(), target.float()
    if kind == "l2":
        return F.mse_loss(pred, target)
    return 1 - F.cosine_similarity(pred, target, dim=-1).mean()


def text_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Eq. 2: cross-entropy of aligned logits [B, L, V] and labels [B, L], mean over labels that are not −100.

    Zero (and differentiable) when no label counts.
    """
    total = F.cross_entropy(
        logits.flatten(0, 1).float(), labels.flatten(), ignore_index=-100, reduction="sum"
    )
    return total / (labels != -100).sum().clamp(min=1)


def alignment_loss(c_visual: Tensor, text_emb: Tensor, mask: Tensor) -> Tensor:
    """How far the adapter's visual tokens lie from the text encoder's space (section 3.3, stage 2).

    c_visual [B, N, D], text_emb [B, L, D], mask [B, L] true at real text tokens. The paper names no formula;
    this compares, sample by sample, direction (1 − cosine of the means) and the first two moments over
    tokens, relative to the text's own, so neither scale nor spread can drift.
    """
    visual, text = c_visual.float(), text_emb.float()
    weight = mask.to(text.dtype).unsqueeze(-1)
    count = weight.sum(dim=1).clamp(min=1)
    text_mean = (text * weight).sum(dim=1) / count
    text_std = (((text - text_mean.unsqueeze(1)) ** 2 * weight).sum(dim=1) / count + 1e-6).sqrt()
    visual_mean = visual.mean(dim=1)
    visual_std = (visual.var(dim=1, unbiased=False) + 1e-6).sqrt()
    direction = 1 - F.cosine_similarity(visual_mean, text_mean, dim=-1)
    moments = _relative(visual_mean, text_mean) + _relative(visual_std, text_std)
    return (direction + moments).mean()


def _relative(value: Tensor, reference: Tensor) -> Tensor:
    scale = reference.pow(2).mean(dim=-1).clamp(min=torch.finfo(torch.float32).eps)
    return (value - reference).pow(2).mean(dim=-1) / scale
