"""What a step took of the machine: time, waiting, tokens a second, the device's use, memory."""

from __future__ import annotations

import functools
import platform
import resource
import time
from typing import Any

import torch

from training.parallel.team import Team

_SIDES = {"cuda": 8192, "cpu": 768}
_ROUNDS = 5


@functools.cache
def matmul_ceiling(device: torch.device) -> float:
    """Return the most bf16 operations a second that a large matrix product reaches on this device."""
    side = _SIDES[device.type]
    # Of random numbers: on ones a GPU draws less power, and runs faster than on anything that is trained.
    source = torch.Generator(device).manual_seed(0)
    left, right = (torch.randn(side, side, generator=source, device=device).bfloat16() for _ in range(2))
    seconds = []
    for _ in range(_ROUNDS):
        started = time.perf_counter()
        left @ right
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        seconds.append(time.perf_counter() - started)
    return 2 * side**3 / min(seconds)


def device_name(device: torch.device) -> str:
    """Return what the device calls itself."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else f"CPU ({platform.machine()})"


def device(team: Team) -> dict[str, Any]:
    """Return what the log says of the device, its ceiling measured."""
    ceiling = matmul_ceiling(team.device)
    return {"name": device_name(team.device), "workers": team.size, "matmul_tflops": round(ceiling / 1e12, 4)}


def figures(team: Team, seconds: float, waited: float, tokens: int, flops: float) -> dict[str, float]:
    """Return the figures of a step; tokens and operations are those of all workers together."""
    return {
        "seconds": seconds,
        "data_wait": waited / seconds,
        "tokens_per_second": tokens / seconds,
        "mfu": flops / seconds / (matmul_ceiling(team.device) * team.size),
        "memory_gib": _memory_bytes(team.device) / 2**30,
    }


def _memory_bytes(device: torch.device) -> int:
    """Return the most memory in use so far: of the GPU, or of the process."""
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # Linux counts in KiB
