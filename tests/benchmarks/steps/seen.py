"""What a GPU did in one step: kernels by kind and by name, and where it stood idle. By PyTorch's profiler."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

import torch

KINDS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("attention", ("sdpa", "flash", "fmha", "attention")),
    ("communication", ("nccl",)),
    ("optimiser and norms", ("adam", "multi_tensor", "lpnorm")),
    ("products", ("gemm", "nvjet", "cutlass", "xmma", "splitk", "cublas")),
    ("copies and fills", ("memcpy", "memset", "catarray")),
    ("element-wise, compiled: reductions", ("triton_red", "triton_per")),
    ("element-wise, compiled: point by point", ("triton_",)),
)
"""The first kind with one of its words in a kernel's name is the kernel's."""
OTHER = "element-wise, not compiled, and other"
UPDATE, APART_NS = "adam", 200_000_000
MOST_KERNELS, MOST_GAPS, GAP_NS = 50, 15, 20_000


class Kernel(NamedTuple):
    """A stretch of time on the GPU, in ns."""

    start: int
    end: int
    name: str


def seen(steps: Callable[[], None], device: torch.device) -> list[str]:
    """Run `steps`, two in a row that do not wait for one another; return what to print of the second."""
    from torch.profiler import ProfilerActivity, profile

    if device.type != "cuda":
        steps()
        return []
    torch.cuda.synchronize(device)
    with profile(activities=[ProfilerActivity.CUDA]) as watched:
        steps()
        torch.cuda.synchronize(device)
    return described(_kernels(watched))


def write(lines: list[str], file: Path) -> None:
    """Leave them in a file, and print what comes before the kernels' names."""
    if lines:
        file.write_text("\n".join(lines) + "\n")
        print(f"--- {file.stem}", *lines[:24], sep="\n", flush=True)


def _kernels(watched: Any) -> list[Kernel]:
    found = [
        Kernel(event.start_ns(), event.start_ns() + event.duration_ns(), event.name())
        for event in watched.profiler.kineto_results.events()
        if event.device_type() == torch.autograd.DeviceType.CUDA
    ]
    return sorted(found)


def described(kernels: list[Kernel]) -> list[str]:
    """Return the table of one step: from the end of an update of the weights to the end of the next."""
    start, end = _window(kernels)
    inside = [k for k in kernels if k.start >= start and k.end <= end]
    gaps, busy = _gaps(inside, start)
    whole, worked = 1e-6 * (end - start), 1e-6 * busy
    lines = [f"one step {whole:.1f} ms; at work {worked:.1f}, idle {whole - worked:.1f}"]
    for kind, taken, count in _sums(inside, _kind):
        lines.append(f"{1e-6 * taken:9.2f} ms {count:6d} × {kind}")
    lines.append("longest gaps: length, ms after the step's start, before what")
    for length, at, name in sorted(gaps, reverse=True)[:MOST_GAPS]:
        lines.append(f"{1e-6 * length:9.3f} ms at {1e-6 * (at - start):8.1f}: {name[:80]}")
    lines.append(f"gaps under {1e-6 * GAP_NS} ms are not counted apart; kernels:")
    for name, taken, count in _sums(inside, lambda name: name)[:MOST_KERNELS]:
        lines.append(f"{1e-6 * taken:9.2f} ms {count:6d} × {name[:110]}")
    return lines


def _window(kernels: list[Kernel]) -> tuple[int, int]:
    updates = [k.end for k in kernels if UPDATE in k.name.lower()]
    ends = [now for now, after in zip(updates, [*updates[1:], None], strict=True) if _last(now, after)]
    return (ends[-2], ends[-1]) if len(ends) > 1 else (kernels[0].start, max(k.end for k in kernels))


def _last(now: int, after: int | None) -> bool:
    return after is None or after - now > APART_NS


def _gaps(kernels: list[Kernel], start: int) -> tuple[list[tuple[int, int, str]], int]:
    """Return (length, where, the kernel after it) of each gap, and the time at work."""
    found, busy, reached = [], 0, start
    for kernel in kernels:
        if kernel.start - reached > GAP_NS:
            found.append((kernel.start - reached, reached, kernel.name))
        busy += max(0, kernel.end - max(reached, kernel.start))
        reached = max(reached, kernel.end)
    return found, busy


def _sums(kernels: Iterable[Kernel], by: Callable[[str], str]) -> list[tuple[str, int, int]]:
    sums: dict[str, tuple[int, int]] = {}
    for kernel in kernels:
        taken, count = sums.get(by(kernel.name), (0, 0))
        sums[by(kernel.name)] = (taken + kernel.end - kernel.start, count + 1)
    return sorted(((name, *sum_) for name, sum_ in sums.items()), key=lambda row: -row[1])


def _kind(name: str) -> str:
    lowered = name.lower()
    return next((kind for kind, words in KINDS if any(word in lowered for word in words)), OTHER)
