"""Compiled blocks are believed once they gave the gradients that uncompiled ones give.

PyTorch 2.10 to 2.12 compiled Wan's blocks to wrong gradients without a word: the shared scale-and-shift
table's was memory that nothing had written (pytorch#193061). Losses look right for a while.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

OF_ITSELF, OF_THE_LARGEST = 0.2, 0.02
"""How far a gradient may be off, in shares of norms. bf16's rounding reaches some per cent in queries and
keys of long sequences; what a compiler gets wrong is off by all of it.
"""


def differing(
    compiled: Callable[..., Any], plain: Callable[..., Any], block: Any, inputs: Sequence[Any]
) -> list[str]:
    """Return the names of parameters and inputs whose gradients two ways to run a block disagree on."""
    found, expected = (_gradients(run, block, inputs) for run in (compiled, plain))
    norms = {name: float(gradient.norm()) for name, gradient in expected.items()}
    largest = max(norms.values(), default=0.0)
    apart = {name: float((found[name] - gradient).norm()) for name, gradient in expected.items()}
    return [
        name
        for name, distance in apart.items()
        if not distance <= OF_ITSELF * norms[name] + OF_THE_LARGEST * largest
    ]


def _gradients(run: Callable[..., Any], block: Any, inputs: Sequence[Any]) -> dict[str, Tensor]:
    """Float32 gradients of all that takes one, for the same made-up gradient of the block's output."""
    leaves = [_leaf(each) for each in inputs]
    wanted = {name: p for name, p in block.named_parameters() if p.requires_grad}
    wanted |= {f"input {n}": x for n, x in enumerate(leaves) if isinstance(x, Tensor) and x.requires_grad}
    if not wanted:
        return {}
    out = run(block, *leaves)
    source = torch.Generator(out.device).manual_seed(0)
    above = torch.randn(out.shape, generator=source, device=out.device).to(out.dtype)
    gradients = torch.autograd.grad(out, list(wanted.values()), above, allow_unused=True)
    torch.clear_autocast_cache()  # weights that were cast here belong to this graph
    pairs = zip(wanted, gradients, strict=True)
    return {name: gradient.float() for name, gradient in pairs if gradient is not None}


def _leaf(value: Any) -> Any:
    return value.detach().requires_grad_(value.requires_grad) if isinstance(value, Tensor) else value
