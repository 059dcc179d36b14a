"""What the machine can do at the model's shapes, and the least that a step can take by that."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any, NamedTuple, cast

import torch
from sizes import Size

from training.parallel.team import Team
from training.speed import attention
from training.speed.attention import Shape

SUSTAINED_SECONDS = 3.0
SQUARE = 8192
CPU_SQUARE = 512


class Floor(NamedTuple):
    """Seconds of a step that does nothing but matrix products and attention, at the measured ceilings.

    Products three times a forward pass where the transformer trains, twice where gradients only cross it;
    attention forward and backward, its own recompute counted.
    """

    stage_3: float
    stage_2: float
    denoising_flops: float


def ceilings(size: Size, device: torch.device, note: Callable[[str, Any], None]) -> Floor:
    """Measure, and note each figure."""
    rates = {name: _rate(shape, device) for name, shape in _products(size, device).items()}
    for name, rate in rates.items():
        note(f"matrix product {name}, TFLOP/s", rate / 1e12)
    dit = size.config.dit
    shape = Shape(1, dit.num_attention_heads, size.tokens, dit.attention_head_dim)
    chosen = attention.choose("auto", shape, Team(device=device))
    for kernel, taken in chosen.seconds.items():
        note(f"{kernel} attention, {size.tokens} tokens, three rounds, TFLOP/s", shape.flops / taken / 1e12)
    note("attention chosen at start-up", chosen.kernel)
    if not chosen.seconds:  # a CPU, where only the arithmetic of this file is rehearsed
        return _floor(size, max(rates.values()), shape.flops / max(rates.values()), max(rates.values()))
    best, brief = _attending(chosen.kernel, shape, device), min(chosen.seconds.values())
    note(f"{chosen.kernel} attention, sustained, TFLOP/s", shape.flops / best / 1e12)
    at_first = _floor(size, max(rates.values()), brief, shape.flops / brief)
    note("floor of stage 3 by attention's first three rounds, s", at_first.stage_3)
    return _floor(size, max(rates.values()), best, shape.flops / best)


def _attending(kernel: str, shape: Shape, device: torch.device) -> float:
    """Seconds of a forward and backward pass after some seconds of them, as a step meets it: by then the GPU
    has settled on a lower clock.
    """
    started, taken = time.perf_counter(), []
    while time.perf_counter() - started < SUSTAINED_SECONDS:
        one = attention.seconds(cast("attention.Kernel", kernel), shape, device)
        assert one is not None
        taken.append(one)
    return statistics.median(taken[len(taken) // 2 :])


def _products(size: Size, device: torch.device) -> dict[str, tuple[int, int, int]]:
    dit = size.config.dit
    width = dit.num_attention_heads * dit.attention_head_dim
    square = SQUARE if device.type == "cuda" else CPU_SQUARE
    return {
        f"{square}³": (square, square, square),
        f"{size.tokens}×{width}×{width}": (size.tokens, width, width),
        f"{size.tokens}×{width}×{dit.ffn_dim}": (size.tokens, width, dit.ffn_dim),
        f"{size.tokens}×{dit.ffn_dim}×{width}": (size.tokens, dit.ffn_dim, width),
    }


def _rate(shape: tuple[int, int, int], device: torch.device) -> float:
    rows, inner, columns = shape
    left = torch.randn(rows, inner, device=device, dtype=torch.bfloat16)
    right = torch.randn(columns, inner, device=device, dtype=torch.bfloat16).T  # as a linear layer has it
    rounds = 10 if device.type == "cuda" else 1
    taken, begun = [], time.perf_counter()
    while len(taken) < 4 or (device.type == "cuda" and time.perf_counter() - begun < 1.0):
        started = _clock(device)
        for _ in range(rounds):
            left @ right
        taken.append((_clock(device) - started) / rounds)
    return 2.0 * rows * inner * columns / statistics.median(taken[len(taken) // 2 :])


def _floor(size: Size, products: float, self_attention: float, attending: float) -> Floor:
    dit, tokens, condition = size.config.dit, size.tokens, size.condition
    width = dit.num_attention_heads * dit.attention_head_dim
    linear = 2 * tokens * (6 * width**2 + 2 * width * dit.ffn_dim) + 4 * condition * width**2
    ends = 4 * tokens * 64 * width + 2 * condition * width * (dit.text_dim + width)
    forward = dit.num_layers * linear + ends
    crossing = dit.num_layers * attention.SELF_ATTENTION_FLOPS * tokens * condition * width
    attended = dit.num_layers * self_attention + crossing / attending
    return Floor(3 * forward / products + attended, 2 * forward / products + attended, forward)


def _clock(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()
