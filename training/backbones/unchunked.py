"""Videos through Wan's autoencoder whole, for training: diffusers takes four frames at a time, which saves
memory that small videos do not need, and starts three times as many kernels for nine frames. The result is
the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor


@contextmanager
def unchunked() -> Iterator[None]:
    """Have Wan's autoencoders encode and decode all frames of a video at once for a while."""
    from diffusers.models.autoencoders import autoencoder_kl_wan as wan

    replaced: list[tuple[Any, str, Any]] = [
        (wan.WanResample, "forward", _resample),
        (wan.AutoencoderKLWan, "_encode", _encode),
        (wan.AutoencoderKLWan, "_decode", _decode),
    ]
    chunked = [getattr(kind, name) for kind, name, _ in replaced]
    for kind, name, whole in replaced:
        setattr(kind, name, whole)
    try:
        yield
    finally:
        for (kind, name, _), before in zip(replaced, chunked, strict=True):
            setattr(kind, name, before)


def _encode(self: Any, x: Tensor) -> Tensor:
    """Pixels [B, 3, T, H, W], T = 4n+1 -> mean and log variance of latents [B, 2z, 1+n, h, w]."""
    from diffusers.models.autoencoders.autoencoder_kl_wan import patchify

    patches = x if self.config.patch_size is None else patchify(x, patch_size=self.config.patch_size)
    moments: Tensor = self.quant_conv(self.encoder(patches))
    return moments


def _decode(self: Any, z: Tensor, return_dict: bool = True) -> Any:
    """Latents [B, z, 1+n, h, w] -> pixels [B, 3, 4n+1, H, W] in [-1, 1]."""
    from diffusers.models.autoencoders.autoencoder_kl_wan import unpatchify
    from diffusers.models.autoencoders.vae import DecoderOutput

    out = self.decoder(self.post_quant_conv(z))
    if self.config.patch_size is not None:
        out = unpatchify(out, patch_size=self.config.patch_size)
    sample = torch.clamp(out, min=-1.0, max=1.0)
    return DecoderOutput(sample=sample) if return_dict else (sample,)


def _resample(self: Any, x: Tensor, feat_cache: Any = None, feat_idx: Any = None) -> Tensor:
    """Half or double [B, C, T, H, W]. A video's first frame is a picture: it stays one frame either way."""
    if self.mode == "upsample3d" and x.shape[2] > 1:
        x = torch.cat([x[:, :, :1], _doubled(self.time_conv(x[:, :, 1:]))], dim=2)
    batch, frames = x.shape[0], x.shape[2]
    flat = self.resample(x.transpose(1, 2).flatten(0, 1))
    x = flat.reshape(batch, frames, *flat.shape[1:]).transpose(1, 2)
    if self.mode == "downsample3d" and frames > 1:
        x = torch.cat([x[:, :, :1], self.time_conv(x)], dim=2)
    return x


def _doubled(x: Tensor) -> Tensor:
    """Two frames [B, C, 2T, H, W] from each [B, 2C, T, H, W]."""
    pairs = x.reshape(x.shape[0], 2, -1, *x.shape[2:])
    return pairs.permute(0, 2, 3, 1, 4, 5).flatten(2, 3)
