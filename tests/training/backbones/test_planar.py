"""Causal convolutions over one frame as convolutions of pictures."""

from __future__ import annotations

from typing import Any

import torch

from training.backbones.planar import planar


def test_pictures_come_out_the_same(vae: Any) -> None:
    """An image's latents and a clip's frames are those of Wan's own forward, up to rounding."""
    vae.eval()
    clip = torch.rand(1, 3, 5, 32, 32) * 2 - 1
    with torch.no_grad():
        wanted = vae.encode(clip).latent_dist.mode()
        frames = vae.decode(wanted).sample
        with planar():
            torch.testing.assert_close(vae.encode(clip).latent_dist.mode(), wanted, atol=1e-5, rtol=1e-4)
            torch.testing.assert_close(vae.decode(wanted).sample, frames, atol=1e-5, rtol=1e-4)
