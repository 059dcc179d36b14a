"""Faster settings for sampling on a GPU; LOG.md says where each was measured to win."""

from __future__ import annotations

from typing import Any

import torch

# Compute capability from which cuDNN's attention beat PyTorch's own choice at Wan's shapes.
HOPPER = (9, 0)


def use_fast_attention(dit: Any) -> bool:
    """Let self-attention run on cuDNN where that wins; returns whether it does.

    Cross-attention keeps PyTorch's choice: it is a fraction of the work and may carry a mask.
    """
    half = dit.dtype in {torch.bfloat16, torch.float16}
    fits = half and torch.cuda.is_available() and torch.cuda.get_device_capability() >= HOPPER
    for block in dit.blocks if fits else ():
        block.attn1.set_attention_backend("_native_cudnn")
    return fits


def compile_blocks(dit: Any) -> None:
    """Compile the transformer's repeated block once for all of them: worth it from the second video on."""
    dit.compile_repeated_blocks(fullgraph=True)
