"""Wan's autoencoder, learning to give the world of shapes back."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from omnivideo.evaluation.detector import detect
from omnivideo.frames import to_uint8
from training.backbones.config import AutoencoderSection
from training.backbones.fitting import Batch
from training.backbones.world import World

SEEN_AT_ONCE = 128
GAIN, EARLIER = 1.4, 0.1  # of weights at the start
VIDEO_SHARE = 0.75  # of batches, once there are videos: their first frames are pictures anyway
LOG_VARIANCE = -6.0  # of latents, at the start


class AutoencoderLesson:
    """Images, after a while videos too; each is to come back from a draw of its latents."""

    def __init__(
        self,
        vae: Any,
        settings: AutoencoderSection,
        worlds: list[World],
        unseen: list[World],
        device: torch.device,
    ) -> None:
        self.module: nn.Module = vae.to(device)
        self._vae, self._settings, self._device = vae, settings, device
        self._frames = [torch.from_numpy(world.frames) for world in worlds]
        self._unseen = unseen
        if device.type == "cuda":
            self._frames = [frames.to(device) for frames in self._frames]

    def draw(self, random: torch.Generator, batch: int, progress: float) -> Batch:
        """Return images, or videos, which are fewer at a time, and noise for their latents."""
        moving = float(torch.rand((), generator=random)) < VIDEO_SHARE
        which = -1 if moving and progress >= self._settings.images_first else 0
        frames = self._frames[which]
        few = max(1, batch // (1 + frames.shape[1] // 4))
        chosen = torch.randint(len(frames), (few,), generator=random)
        picked = frames[chosen.to(frames.device)].to(self._device)
        latent = (few, 16, 1 + (frames.shape[1] - 1) // 4, frames.shape[2] // 8, frames.shape[3] // 8)
        return Batch(f"{frames.shape[1]} frames", (picked, normal(latent, random, self._device)))

    def loss(self, kind: str, *inputs: Tensor) -> Tensor:
        """Return the error of what comes back of frames [B, T, H, W, 3], uint8."""
        frames, noise = inputs
        x = pixels(frames)
        posterior = self._vae.encode(x).latent_dist
        decoded = self._vae.decode(posterior.mean + posterior.std * noise).sample
        error = decoded.float() - x
        kl = 0.5 * (posterior.mean.float() ** 2 + posterior.var.float() - 1 - posterior.logvar.float()).mean()
        loss: Tensor = error.abs().mean() + 2 * error.pow(2).mean() + self._settings.kl_weight * kl
        return loss

    @torch.no_grad()
    def report(self) -> dict[str, float]:
        """Set the latents' constants, then measure what comes back of unseen scenes: PSNR, and what is
        detected.
        """
        self._set_constants()
        figures = {}
        for world in self._unseen:
            x = pixels(torch.from_numpy(world.frames))
            back = torch.cat([self._back(part.to(self._device)).cpu() for part in in_parts(x)])
            error = (back - x).pow(2).mean(dim=(1, 2, 3, 4)).clamp(min=1e-8)
            figures[f"{world.view.kind}_psnr"] = float((10 * torch.log10(4 / error)).mean())
            figures[f"{world.view.kind}_judged"] = _judged(world, to_uint8(back))
        return figures

    def _back(self, x: Tensor) -> Tensor:
        decoded: Tensor = self._vae.decode(self._vae.encode(x).latent_dist.mode()).sample
        return decoded.float()

    def _set_constants(self) -> None:
        """Latents have mean 0 and spread 1 in each channel by these constants, as Wan's have."""
        rows = []
        for frames in self._frames:
            for part in in_parts(frames[:512]):
                mode = self._vae.encode(pixels(part.to(self._device))).latent_dist.mode()
                rows.append(mode.float().transpose(0, 1).flatten(1))
        values = torch.cat(rows, dim=1)
        mean, std = values.mean(dim=1), values.std(dim=1).clamp(min=1e-3)
        self._vae.register_to_config(latents_mean=mean.tolist(), latents_std=std.tolist())


def in_parts(rows: Tensor) -> Iterator[Tensor]:
    """Rows [N, ...] as many at a time as a model sees at once."""
    for start in range(0, len(rows), SEEN_AT_ONCE):
        yield rows[start : start + SEEN_AT_ONCE]


def normal(shape: Sequence[int], random: torch.Generator, device: torch.device) -> Tensor:
    """Normal numbers, made on the device by a generator that `random` seeds."""
    seed = int(torch.randint(2**62, (), generator=random))
    there = torch.Generator(device).manual_seed(seed)
    return torch.randn(tuple(shape), generator=there, device=device)


def begin(vae: Any) -> None:
    """Start every convolution as one of pictures, whose earlier frames count little at first: Wan's own
    default shares the weight of a picture's nine taps with eighteen that see zeros, and learns half as fast.
    """
    for conv in (part for part in vae.modules() if isinstance(part, nn.Conv2d | nn.Conv3d)):
        weight, now = conv.weight.data, conv.weight.data
        if weight.ndim == 5 and weight.shape[2] > 1:
            weight[:, :, :-1] *= EARLIER
            now = weight[:, :, -1]
        taps = weight.shape[1] * weight.shape[-2] * weight.shape[-1]
        nn.init.normal_(now, std=GAIN * taps**-0.5)
        if conv.bias is not None:
            nn.init.zeros_(conv.bias)
    with torch.no_grad():
        vae.quant_conv.bias[len(vae.quant_conv.bias) // 2 :] = LOG_VARIANCE


def pixels(frames: Tensor) -> Tensor:
    """uint8 [B, T, H, W, 3] -> [B, 3, T, H, W] in [-1, 1]."""
    return frames.permute(0, 4, 1, 2, 3).float() / 127.5 - 1


def _judged(world: World, frames: Any) -> float:
    """Return the share of scenes whose last frame still shows each thing, by kind and colour."""
    right = 0
    for scene, clip in zip(world.scenes, frames, strict=True):
        found = sorted((one.name, one.color or "") for one in detect(clip[-1]).detections)
        right += found == sorted((thing.kind, thing.color) for thing in scene.things)
    return right / len(world.scenes) if world.scenes else math.nan
