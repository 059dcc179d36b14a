"""Which kernel computes the transformer's self-attention: measured at a phase's start, on its own shape.

On Hopper GPUs cuDNN's is the fastest by far for long sequences, and not for short ones; on others it may not
be there. So each is timed, forward and backward, at the size of the phase's largest bucket.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Literal, NamedTuple, cast, get_args

import torch
from diffusers.models.transformers.transformer_wan import WanAttnProcessor
from torch import Tensor
from torch.nn.attention import sdpa_kernel

from omnivideo.errors import InputError
from omnivideo.self_attention import KERNELS as BACKENDS
from omnivideo.self_attention import SelfAttention
from training.parallel.team import Team

Kernel = Literal["cudnn", "flash", "efficient"]
KERNELS: tuple[Kernel, ...] = get_args(Kernel)
NATIVE = "native"
"""PyTorch's own choice: the only one on a CPU."""
_ROUNDS = 3
SELF_ATTENTION_FLOPS = 14
"""For each pair of tokens and channel of a head: 4 forward, 10 backward, which computes the scores again."""


class Shape(NamedTuple):
    """Of queries, keys and values."""

    batch: int
    heads: int
    tokens: int
    size: int

    @property
    def flops(self) -> float:
        """Operations of a forward and a backward pass."""
        return SELF_ATTENTION_FLOPS * self.batch * self.heads * self.size * float(self.tokens) ** 2


class Choice(NamedTuple):
    """The kernel to use, and what each one that works took: seconds forward and backward."""

    kernel: str
    seconds: dict[str, float]

    def said(self, shape: Shape) -> str:
        """Return the choice and the measurements in one line."""
        rates = ", ".join(
            f"{name} {1000 * taken:.1f} ms ({shape.flops / taken / 1e12:.0f} TFLOP/s)"
            for name, taken in self.seconds.items()
        )
        return f"self-attention over {shape.tokens:,} tokens by {self.kernel}" + (
            f": {rates}" if rates else ""
        )


def choose(wanted: str, shape: Shape, team: Team) -> Choice:
    """Return what `wanted` ("auto" or a kernel) comes to on this team's devices: rank 0 measures for all.

    Raises InputError for a kernel that does not work on them.
    """
    if team.device.type != "cuda":
        return Choice(NATIVE, {})
    if wanted == NATIVE:
        return Choice(NATIVE, {})
    tried = KERNELS if wanted == "auto" else (cast("Kernel", wanted),)
    found = {kernel: seconds(kernel, shape, team.device) for kernel in tried} if team.rank == 0 else {}
    measured = team.gather(found)[0]
    works = {str(name): taken for name, taken in measured.items() if taken is not None}
    if not works and wanted != "auto":
        what = f"this GPU has no {wanted} attention for {shape.heads} heads of {shape.size} in bf16"
        raise InputError(what, "choosing the attention kernel", "set stages.speed.attention to auto")
    return Choice(min(works, key=lambda name: works[name], default=NATIVE), works)


def seconds(kernel: Kernel, shape: Shape, device: torch.device) -> float | None:
    """Return what one forward and backward pass takes, the least of some; None where it does not work."""
    query, key, value = (
        torch.randn(*shape, device=device, dtype=torch.bfloat16, requires_grad=True) for _ in range(3)
    )
    try:
        taken = [_timed(lambda: _once(kernel, query, key, value), device) for _ in range(_ROUNDS + 1)]
    except RuntimeError:  # how PyTorch says that a backend takes no such input
        return None
    return min(taken[1:])


def _once(kernel: Kernel, query: Tensor, key: Tensor, value: Tensor) -> None:
    with sdpa_kernel(BACKENDS[kernel]):
        out = torch.nn.functional.scaled_dot_product_attention(query, key, value)
    torch.autograd.backward(out, torch.ones_like(out))


def _timed(work: Callable[[], None], device: torch.device) -> float:
    torch.cuda.synchronize(device)
    started = time.perf_counter()
    work()
    torch.cuda.synchronize(device)
    return time.perf_counter() - started


def use(dit: Any, kernel: str) -> None:
    """Have the transformer's attention computed by `kernel`; under a mask, by PyTorch's own choice."""
    backend = NATIVE if kernel == NATIVE else f"_native_{kernel}"
    for block in dit.blocks:
        if type(block.attn1.processor) in {WanAttnProcessor, SelfAttention}:
            block.attn1.set_processor(SelfAttention(kernel))
        else:  # one that shares the sequence with other workers, and attends in the middle
            block.attn1.set_attention_backend(backend)
        block.attn2.set_attention_backend(backend)


def choose_without_cudnn() -> None:
    """Let PyTorch's own choice never be cuDNN's attention: since 2.11 it would be, on Hopper, and there its
    backward pass under a mask gives gradients that are wrong by far, or not finite (pytorch#196678). The
    language model and edits in mixed batches have masks. Kernels that are asked for by name stay.
    """
    torch.backends.cuda.enable_cudnn_sdp(False)
