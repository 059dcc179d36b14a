"""Faster settings for sampling on a GPU; LOG.md says where each was measured to win."""

from __future__ import annotations

from typing import Any

import torch

HOPPER = (9, 0)  # compute capability of the GPUs that the figures come from


def quicken(dit: Any) -> None:
    """Compile the transformer's repeated block, once for all of them, with cuDNN's self-attention on Hopper.

    The first call of each shape then takes some 20 s longer: worth it from the second video on.
    Cross-attention keeps PyTorch's choice, for it may carry a mask.
    """
    half = dit.dtype in {torch.bfloat16, torch.float16}
    if half and torch.cuda.is_available() and torch.cuda.get_device_capability() >= HOPPER:
        for block in dit.blocks:
            block.attn1.set_attention_backend("_native_cudnn")
    dit.compile_repeated_blocks(fullgraph=True)
