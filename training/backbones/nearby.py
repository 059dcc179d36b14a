"""Where the heads of a fresh text encoder look before they have learned anything: at the words near by."""

from __future__ import annotations

from typing import Any

import torch

FAR = -6.0  # a score: exp(-6), as good as not looked at
AROUND = 1.0  # taken from a score for each word further away, in heads of both directions
ONE_WAY = 0.5  # the same, in heads of one direction
ITSELF = -1.0  # a word's own score in heads of one direction


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
        views = _views(len(bias) // 2).to(bias)
        bias.copy_(views[:, torch.arange(bias.shape[1]) % views.shape[1]])


def _views(half: int) -> torch.Tensor:
    """[2 · half, 4], of heads in turn: scores of words from the place backwards, then of those after it."""
    steps = torch.arange(half)
    around, one_way, nowhere = -AROUND * steps, -ONE_WAY * steps, torch.full((half,), FAR)
    before, itself = one_way.clone(), nowhere.clone()
    before[0] = itself[0] = ITSELF
    everywhere = torch.zeros(half)
    views = ((around, around), (before, nowhere), (itself, one_way), (everywhere, everywhere))
    return torch.stack([torch.cat(view) for view in views], dim=1)
