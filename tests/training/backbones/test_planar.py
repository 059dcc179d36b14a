"""Causal convolutions over one frame as convolutions of pictures."""

from __future__ import annotations

import torch
from diffusers import AutoencoderKLWan

from training.backbones.planar import planar


def test_pictures_come_out_the_same() -> None:
    """An image's latents and a clip's frames are those of Wan's own forward, up to rounding."""
    torch.manual_seed(0)
    vae = AutoencoderKLWan(
        base_dim=8,
        dim_mult=[1, 2, 2],
        num_res_blocks=1,
        temperal_downsample=[True, True],
        patch_size=2,
        in_channels=12,
        out_channels=12,
    ).eval()
    clip = torch.rand(1, 3, 5, 32, 32) * 2 - 1
    with torch.no_grad():
        wanted = vae.encode(clip).latent_dist.mode()
        frames = vae.decode(wanted).sample
        with planar():
            torch.testing.assert_close(vae.encode(clip).latent_dist.mode(), wanted, atol=1e-5, rtol=1e-4)
            torch.testing.assert_close(vae.decode(wanted).sample, frames, atol=1e-5, rtol=1e-4)
