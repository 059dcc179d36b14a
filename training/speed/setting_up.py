"""How a phase's transformer will compute: decided once, before its first step, and said in the log."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

from torch import nn

from training.config import StageSection, StagesSection
from training.parallel.team import Team
from training.speed import attention
from training.speed.blocks import Blocks
from training.speed.config import Mode
from training.speed.recompute import fitting

if TYPE_CHECKING:
    from omnivideo.model import OmniVideoModel
    from training.data.samples import Bucket

GRADIENT, MASTER, MOMENTS, AVERAGE = 4, 4, 8, 4  # bytes a trained parameter, beside the parameter


class Speed(NamedTuple):
    """The transformer's blocks as they run, and what the log says of that."""

    blocks: Blocks
    choices: dict[str, Any]


def set_up(
    model: OmniVideoModel,
    stages: StagesSection,
    settings: StageSection,
    buckets: Iterable[Bucket],
    team: Team,
    each: int,
) -> Speed:
    """Choose for the largest of a flow phase's `buckets`, and take over the transformer's blocks.

    `each`: workers that share a sample's sequence. The model has its trainable parameters marked, and lies
    where it will be used. Every worker calls this and chooses the same.
    """
    config, size = model.config.dit, settings.micro_batch_size
    tokens = max(map(count_tokens, buckets))
    shape = attention.Shape(size, config.num_attention_heads // each, tokens, config.attention_head_dim)
    chosen = attention.choose(stages.speed.attention, shape, team)
    attention.use(model.dit, chosen.kernel)
    mode = _mode(model, stages, settings, size * math.ceil(tokens / each), team)
    compiled = team.device.type == "cuda" if stages.speed.compile is None else stages.speed.compile
    choices: dict[str, Any] = {"attention": chosen.kernel, "attention_seconds": chosen.seconds}
    choices |= {"recompute": mode, "compiled": compiled}
    if team.rank == 0:
        how = "compiled for each shape" if compiled else "not compiled"
        print(f"{chosen.said(shape)}; recompute {mode}; blocks {how}", flush=True)
    return Speed(Blocks(model.dit, mode, compiled, stages.speed.max_graphs), choices)


def count_tokens(bucket: Bucket) -> int:
    """Return the transformer's tokens of a sample: latents by strides 4×8×8, patches of 1×2×2."""
    return ((bucket.frames - 1) // 4 + 1) * (bucket.height // 16) * (bucket.width // 16)


def _mode(
    model: OmniVideoModel, stages: StagesSection, settings: StageSection, tokens: int, team: Team
) -> Mode:
    if settings.recompute != "auto":
        return settings.recompute
    held = held_bytes(model, team.size, bool(stages.ema_decay))
    frozen = not any(p.requires_grad for p in model.dit.parameters())
    return fitting(model.config.dit, tokens, held, team.device, frozen)


def held_bytes(model: nn.Module, workers: int, averaged: bool) -> int:
    """Return what weights on a GPU, gradients and the divided optimiser take of it, in bytes."""
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    weights = sum(p.nbytes for p in model.parameters() if p.device.type == "cuda")
    divided = MASTER + MOMENTS + (AVERAGE if averaged else 0)
    return weights + trained * GRADIENT + math.ceil(trained * divided / workers)
