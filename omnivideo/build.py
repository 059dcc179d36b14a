"""Parts with random weights, from a configuration; the same seed gives the same weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from omnivideo.adapter import Adapter
from omnivideo.config import MllmConfig, OmniVideoConfig
from omnivideo.decoder import build_dit, build_text_encoder, build_vae
from omnivideo.mllm import Mllm, TextHead
from omnivideo.transformers_mllm import TransformersMllm
from omnivideo.vision_head import VisionHead
from omnivideo.vision_tower import VisionTower

LATENT_CHANNELS = 16

# Every part, in the order in which they are built and listed.
PARTS = ("mllm", "vision_tower", "text_head", "vision_head", "adapter", "dit", "vae", "text_encoder")


def _mllm(config: OmniVideoConfig) -> Any:
    mllm = config.mllm
    if isinstance(mllm, MllmConfig):
        return Mllm(mllm.llm.model_dump(), mllm.vision.hidden_size, mllm.projector)
    return TransformersMllm(
        model=mllm.model,
        image_size=mllm.image_size,
        image_mean=list(mllm.image_mean),
        image_std=list(mllm.image_std),
    )


def _vision_tower(config: OmniVideoConfig) -> Any:
    target, mllm = config.vision_head.target.model_dump(), config.mllm
    if isinstance(mllm, MllmConfig):
        return VisionTower(mllm.vision.model_dump(), target, mllm.select_layer)
    return VisionTower(None, target)


def _text_head(config: OmniVideoConfig) -> Any:
    return TextHead(hidden_size=config.mllm.hidden_size, vocab_size=config.mllm.vocab_size)


def _vision_head(config: OmniVideoConfig) -> Any:
    head = config.vision_head
    return VisionHead(
        hidden_size=config.mllm.hidden_size,
        vision_size=head.target.hidden_size,
        depth=head.depth,
        mode=head.mode,
        max_tokens=head.num_tokens("video"),
    )


def _adapter(config: OmniVideoConfig) -> Any:
    return Adapter(
        vision_size=config.vision_head.target.hidden_size,
        latent_channels=LATENT_CHANNELS,
        text_size=config.dit.text_dim,
        **config.adapter.model_dump(),
    )


_BUILDERS: dict[str, Callable[[OmniVideoConfig], Any]] = {
    "mllm": _mllm,
    "vision_tower": _vision_tower,
    "text_head": _text_head,
    "vision_head": _vision_head,
    "adapter": _adapter,
    "dit": lambda config: build_dit(config.dit),
    "vae": lambda config: build_vae(config.vae),
    "text_encoder": lambda config: build_text_encoder(config.text_encoder),
}


def build_part(name: str, config: OmniVideoConfig, seed: int = 0) -> nn.Module:
    """One part in float32, in eval mode; its weights depend on the seed and its own name alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed * len(PARTS) + PARTS.index(name))
        part: nn.Module = _BUILDERS[name](config)
    return part.eval()


def parameter_counts(config: OmniVideoConfig) -> dict[str, int]:
    """Parameters of each part, counted on the meta device: no weight is allocated."""
    with torch.device("meta"):
        return {name: sum(p.numel() for p in build_part(name, config).parameters()) for name in PARTS}
