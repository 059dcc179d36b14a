"""Steps without any of the platform: diffusers' own transformer, and our model, each in a bare loop."""

from __future__ import annotations

import gc
import re
import statistics
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from seen import seen
from sizes import Size
from torch import Tensor

from omnivideo.build import PARTS, build_part
from omnivideo.decoder import build_scheduler
from omnivideo.model import OmniVideoModel
from omnivideo.tokens import byte_tokenizer
from training.config import StageSection, StagesSection
from training.model.trainee import SubBatch, Trainee
from training.parallel.team import Team
from training.speed.config import Mode, SpeedSection
from training.speed.setting_up import set_up
from training.stages import PHASES

WARM_UP = 2


class Taken(NamedTuple):
    """Seconds of a step, the median; the most memory held, in GiB; seconds of the first step; the loss."""

    seconds: float
    gibibytes: float
    first: float
    loss: float
    norms: dict[str, float]
    seen: list[str]


def diffusers(size: Size, device: torch.device, steps: int, backend: str | None = None) -> Taken:
    """Its transformer in bf16 with its full gradient checkpointing, AdamW over bf16 weights."""
    with torch.device(device):
        dit: Any = build_part("dit", size.config)
    kept = dit._keep_in_fp32_modules
    for name, parameter in dit.named_parameters():
        if not any(word in name for word in kept):
            parameter.data = parameter.data.to(torch.bfloat16)
    dit.train().enable_gradient_checkpointing()
    if backend:
        dit.set_attention_backend(backend)
    optimizer = torch.optim.AdamW(dit.parameters(), lr=1e-5, fused=device.type == "cuda")
    latents, noise = (torch.randn(1, *size.latents, device=device, dtype=torch.bfloat16) for _ in range(2))
    condition = torch.randn(1, size.condition, size.config.dit.text_dim, device=device, dtype=torch.bfloat16)

    def step() -> Tensor:
        time_ = torch.full((1,), 500.0, device=device)
        flow = dit(
            hidden_states=0.5 * (latents + noise),
            timestep=time_,
            encoder_hidden_states=condition,
            return_dict=False,
        )[0]
        loss: Tensor = (flow.float() - (noise - latents).float()).pow(2).mean()
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(dit.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        return loss.detach()

    return timed(step, device, steps)


def bare(
    size: Size,
    device: torch.device,
    steps: int,
    stage: str,
    mode: Mode | None,
    compiled: bool | None = None,
    profiled: bool = False,
) -> Taken:
    """Our model's step in the plainest loop: the same losses, recompute and kernels; PyTorch's own AdamW, no
    Ray, no DeepSpeed, no data, no log.
    """
    phase = next(phase for phase in PHASES if phase.name == stage)
    model = _model(size, device)
    settings = StageSection(recompute="auto" if mode is None else mode)
    trainee = Trainee(model, phase.trainable, settings)
    stages = StagesSection(speed=SpeedSection(compile=compiled))
    speed = set_up(model, stages, settings, [size.bucket], Team(device=device), 1)
    trained = [p for p in trainee.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-5, fused=device.type == "cuda")
    sub_batch = _sub_batch(size, device, spoken="vision_head" in phase.trainable)

    def step() -> Tensor:
        with torch.autocast(device.type, torch.bfloat16):
            loss: Tensor = trainee(sub_batch).sum()
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        optimizer.zero_grad()
        return loss.detach()

    def gradients() -> None:
        with torch.autocast(device.type, torch.bfloat16):
            loss: Tensor = trainee(sub_batch).sum()
        torch.autograd.backward(loss)

    try:
        taken = timed(step, device, steps)
        gradients()
        taken = taken._replace(norms=_norms(trainee))
        optimizer.zero_grad()
        return taken._replace(seen=seen(lambda: _twice(step), device)) if profiled else taken
    finally:
        speed.blocks.remove()


def _twice(step: Callable[[], Tensor]) -> None:
    step()
    step()


def _norms(module: Any) -> dict[str, float]:
    """Gradient norms by kind of weight: two ways to compute a step must agree on them."""
    sums: dict[str, float] = {}
    for name, parameter in module.named_parameters():
        if parameter.grad is not None:
            kind = re.sub(r"\.\d+", "", name.removeprefix("parts.")).rpartition(".")[0]
            sums[kind] = sums.get(kind, 0.0) + float(parameter.grad.float().pow(2).sum())
    return {kind: total**0.5 for kind, total in sums.items()}


def timed(step: Callable[[], Tensor], device: torch.device, steps: int) -> Taken:
    """Take WARM_UP steps, then `steps` more."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    seconds, loss = [], 0.0
    for _ in range(WARM_UP + steps):
        started = time.perf_counter()
        loss = float(step())
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        seconds.append(time.perf_counter() - started)
    peak = torch.cuda.max_memory_allocated(device) / 2**30 if device.type == "cuda" else 0.0
    return Taken(statistics.median(seconds[WARM_UP:]), peak, seconds[0], loss, {}, [])


def clear(device: torch.device) -> None:
    """Give memory back."""
    gc.collect()
    torch._dynamo.reset()
    if device.type == "cuda":
        torch.cuda.empty_cache()


def _model(size: Size, device: torch.device) -> OmniVideoModel:
    parts = {}
    for name in PARTS:
        with torch.device("cpu" if name in {"vae", "text_encoder"} else device):
            parts[name] = build_part(name, size.config)
    scheduler = build_scheduler(size.config.scheduler)
    return OmniVideoModel(size.config, parts, byte_tokenizer(), byte_tokenizer(append_eos=True), scheduler)


def _sub_batch(size: Size, device: torch.device, spoken: bool) -> SubBatch:
    config = size.config
    text = torch.randn(1, config.text_encoder.max_tokens, config.text_encoder.d_model, device=device)
    visual = torch.randn(
        1, config.vision_head.num_tokens("video"), config.vision_head.target.hidden_size, device=device
    )
    latents, noise = (torch.randn(1, *size.latents, device=device) for _ in range(2))
    said = {"prompts": ["noise"], "kind": "video", "source_frames": None, "source_mask": None}
    inputs = {
        **{"visual": visual, "text": text, "text_mask": torch.ones(text.shape[:2], device=device).bool()},
        **{"source_latents": None, "source_mask": None, "latents": latents, "noise": noise},
        **{"time": torch.full((1,), 0.5, device=device), "spoken": said if spoken else None},
    }
    return SubBatch("flow", (0,), inputs)
