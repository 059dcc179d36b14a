"""Causal convolutions over one frame, faster: what they pad in front of it is zero, so one slice of weights
is all that counts. The result is the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch.nn.functional as F
from torch import Tensor


@contextmanager
def planar() -> Iterator[None]:
    """Have Wan's causal convolutions treat a first frame as a picture for a while."""
    from diffusers.models.autoencoders.autoencoder_kl_wan import WanCausalConv3d

    whole = WanCausalConv3d.forward

    def forward(self: Any, x: Tensor, cache_x: Tensor | None = None) -> Tensor:
        if x.shape[2] != 1 or cache_x is not None or self.stride[0] != 1:
            made: Tensor = whole(self, x, cache_x)
            return made
        padded = F.pad(x[:, :, 0], self._padding[:4])
        return F.conv2d(padded, self.weight[:, :, -1], self.bias, self.stride[1:]).unsqueeze(2)

    WanCausalConv3d.forward = forward
    try:
        yield
    finally:
        WanCausalConv3d.forward = whole
