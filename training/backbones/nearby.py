"""Where the heads of a fresh text encoder look before they have learned anything: at the words near by."""

from __future__ import annotations

from itertools import cycle
from typing import Any

import torch

FAR = -6.0  # of a score: exp(-6), as good as not looked at
FADING = (1.0, 0.5)  # taken from a score for each word further away: in both directions; in one
VIEWS = ("around", "before", "after", "everywhere")  # of heads in turn


@torch.no_grad()
def look_nearby(text_encoder: Any) -> None:
    """Set the position biases of a UMT5 encoder: a head attends around a word, before, after, anywhere.

    T5's positions are nothing but these biases, and random ones all look alike: trained through a diffusion
    loss they stay so, and a caption is a bag of words. 10,000 steps from random ones left no difference
    between "a red star and a blue cross" and "a blue star and a red cross"; from these, 700 did
    (docs/results.md). A trained UMT5 brings its own.
    """
    for block in text_encoder.encoder.block:
        bias = block.layer[0].SelfAttention.relative_attention_bias.weight  # [buckets, heads]
        half = len(bias) // 2  # buckets of words before and at the place, nearest first, then of those after
        steps = torch.arange(half, dtype=bias.dtype, device=bias.device)
        for head, view in zip(range(bias.shape[1]), cycle(VIEWS), strict=False):
            before, after = _scores(view, steps)
            bias[:half, head], bias[half:, head] = before, after


def _scores(view: str, steps: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    around, one_way = (-fading * steps for fading in FADING)
    nowhere = torch.full_like(steps, FAR)
    return {
        "around": (around, around),
        "before": (torch.cat([-torch.ones_like(steps[:1]), one_way[1:]]), nowhere),
        "after": (torch.cat([-torch.ones_like(steps[:1]), nowhere[1:]]), one_way),
        "everywhere": (torch.zeros_like(steps), torch.zeros_like(steps)),
    }[view]
