"""The objectives of section 3: Eq. 1, Eq. 2 and the alignment that opens stage 2.

Each returns a scalar; those in the plural return every sample's own, [B], which its neighbours do not change.
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

UNLABELLED = -100


def vision_loss(pred: Tensor, target: Tensor, kind: Literal["l2", "cosine"] = "l2") -> Tensor:
    """Eq. 1 between predicted and SigLIP2 tokens [B, N, D]: mean squared error, or 1 − cosine a token."""
    return vision_losses(pred, target, kind).mean()


def vision_losses(pred: Tensor, target: Tensor, kind: Literal["l2", "cosine"] = "l2") -> Tensor:
    """Eq. 1 of each sample, [B]."""
    pred, target = pred.float(), target.float()
    if kind == "l2":
        return F.mse_loss(pred, target, reduction="none").flatten(1).mean(dim=1)
    return 1 - F.cosine_similarity(pred, target, dim=-1).mean(dim=1)


def text_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Eq. 2: cross-entropy of aligned logits [B, L, V] and labels [B, L], mean over labels that are not −100.

    Zero (and differentiable) when no label counts.
    """
    return _surprise(logits, labels).sum() / (labels != UNLABELLED).sum().clamp(min=1)


def text_losses(logits: Tensor, labels: Tensor) -> Tensor:
    """Eq. 2 of each sample over its own labels, [B]."""
    return _surprise(logits, labels).sum(dim=1) / (labels != UNLABELLED).sum(dim=1).clamp(min=1)


def _surprise(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy [B, L], zero where no label counts."""
    flat = logits.flatten(0, 1).float(), labels.flatten()
    return F.cross_entropy(*flat, ignore_index=UNLABELLED, reduction="none").view_as(labels)


def alignment_loss(c_visual: Tensor, text_emb: Tensor, mask: Tensor) -> Tensor:
    """How far the adapter's visual tokens lie from the text encoder's space (section 3.3, stage 2).

    c_visual [B, N, D], text_emb [B, L, D], mask [B, L] true at real text tokens. The paper names no formula;
    this compares, sample by sample, direction (1 − cosine of the means) and the first two moments over
    tokens, relative to the text's own, so neither scale nor spread can drift.
    """
    return alignment_losses(c_visual, text_emb, mask).mean()


def alignment_losses(c_visual: Tensor, text_emb: Tensor, mask: Tensor) -> Tensor:
    """The same of each sample, [B]."""
    visual, text = c_visual.float(), text_emb.float()
    weight = mask.to(text.dtype).unsqueeze(-1)
    count = weight.sum(dim=1).clamp(min=1)
    text_mean = (text * weight).sum(dim=1) / count
    text_std = (((text - text_mean.unsqueeze(1)) ** 2 * weight).sum(dim=1) / count + 1e-6).sqrt()
    visual_mean = visual.mean(dim=1)
    visual_std = (visual.var(dim=1, unbiased=False) + 1e-6).sqrt()
    direction = 1 - F.cosine_similarity(visual_mean, text_mean, dim=-1)
    moments = _relative(visual_mean, text_mean) + _relative(visual_std, text_std)
    return direction + moments


def _relative(value: Tensor, reference: Tensor) -> Tensor:
    scale = reference.pow(2).mean(dim=-1).clamp(min=torch.finfo(torch.float32).eps)
    return (value - reference).pow(2).mean(dim=-1) / scale
