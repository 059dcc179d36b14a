"""Videos through Wan's autoencoder at once."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from training.backbones.unchunked import unchunked


@pytest.mark.parametrize("frames", [1, 5, 9])
def test_whole_videos_come_out_the_same(vae: Any, frames: int) -> None:
    """Latents, frames and gradients are those of Wan's passes over four at a time."""
    clip = torch.rand(1, 3, frames, 32, 32) * 2 - 1
    wanted = _passed(vae, clip)
    with unchunked():
        found = _passed(vae, clip)
    assert wanted[1].shape == clip.shape
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-3)


def _passed(vae: Any, clip: Tensor) -> list[Tensor]:
    """Latents, frames, and the gradients of all weights."""
    vae.zero_grad(set_to_none=False)
    latents = vae.encode(clip).latent_dist.mode()
    frames = vae.decode(latents).sample
    (frames.square().mean() + latents.square().mean()).backward()
    weights = [p.grad.clone() for p in vae.parameters() if p.grad is not None]
    return [latents.detach(), frames.detach(), *weights]
