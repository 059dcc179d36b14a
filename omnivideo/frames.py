"""Frames in memory: what callers hand in, as a clip [1, 3, T, H, W] in [-1, 1], and back to 8-bit pixels."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from omnivideo.errors import InputError

# A path, a PIL image, a list of PIL images, uint8 [T, H, W, 3] or [H, W, 3], or a tensor [1, 3, T, H, W]
# in [-1, 1].
Media = Any


def as_clip(
    media: Media, num_frames: int | None = None, height: int | None = None, width: int | None = None
) -> Tensor:
    """Any `Media` as float32 [1, 3, T, H, W] in [-1, 1], cropped, resized and resampled where a size is
    given.

    Raises InputError for what is no image or clip.
    """
    clip = _clip(media)
    if num_frames is not None and clip.shape[2] != num_frames:
        index = torch.linspace(0, clip.shape[2] - 1, num_frames).round().long()
        clip = clip[:, :, index]
    if height is not None and width is not None and clip.shape[-2:] != (height, width):
        clip = _fill(clip, height, width)
    return clip


def to_uint8(frames: Tensor) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """[B, 3, T, H, W] in [-1, 1] -> uint8 [B, T, H, W, 3]."""
    pixels = ((frames.float().clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)
    array: np.ndarray[Any, np.dtype[np.uint8]] = pixels.permute(0, 2, 3, 4, 1).cpu().numpy()
    return array


def _clip(media: Media) -> Tensor:
    if isinstance(media, Tensor):
        if media.ndim != 5 or media.shape[:2] != (1, 3):
            raise InputError(
                f"a tensor of shape {list(media.shape)}", "source", "Pass [1, 3, T, H, W] in [-1, 1]"
            )
        return media.float()
    if isinstance(media, str) or hasattr(media, "__fspath__"):
        from omnivideo.media import load

        return _from_array(load(media))
    if isinstance(media, (list, tuple)):
        return _from_array(np.stack([np.asarray(_rgb(image)) for image in media]))
    return _from_array(np.asarray(_rgb(media)))


def _rgb(image: Any) -> Any:
    return image.convert("RGB") if hasattr(image, "convert") else image


def _from_array(array: np.ndarray[Any, Any]) -> Tensor:
    if array.ndim == 3:
        array = array[None]
    if array.ndim != 4 or array.shape[-1] != 3 or array.dtype != np.uint8:
        raise InputError(
            f"an array of shape {list(array.shape)} and type {array.dtype}",
            "source",
            "Pass uint8 [T, H, W, 3]",
        )
    return torch.from_numpy(array.copy()).permute(3, 0, 1, 2)[None].float() / 127.5 - 1


def _fill(clip: Tensor, height: int, width: int) -> Tensor:
    """Scale so that the frame covers height × width, then crop the centre."""
    rows, columns = clip.shape[-2:]
    scale = max(height / rows, width / columns)
    size = (max(height, round(rows * scale)), max(width, round(columns * scale)))
    frames = clip[0].transpose(0, 1)
    frames = F.interpolate(frames, size=size, mode="bicubic", align_corners=False, antialias=True).clamp(
        -1, 1
    )
    top, left = (size[0] - height) // 2, (size[1] - width) // 2
    return frames[:, :, top : top + height, left : left + width].transpose(0, 1)[None]
