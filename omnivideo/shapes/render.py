"""Scenes as pixels, with soft edges."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from omnivideo.shapes.palette import BACKGROUNDS, COLORS, Kind, outline
from omnivideo.shapes.scene import Scene, Thing

Pixels = np.ndarray[Any, np.dtype[np.uint8]]
Coverage = np.ndarray[Any, np.dtype[np.float32]]
FINER = 4  # subpixels a side, whose mean is a pixel


def render(scene: Scene, size: int, num_frames: int = 1) -> Pixels:
    """Frames [T, size, size, 3], uint8 sRGB; the last of several frames is at moment 1."""
    frames = np.empty((num_frames, size, size, 3), np.uint8)
    frames[:] = BACKGROUNDS[scene.background]
    alike = True
    for thing in scene.things:
        alike = alike and thing.motion == "still"
        if alike:
            _paint(frames, thing, 0.0)
            continue
        for number in range(num_frames):  # what moves may pass under a still thing that is painted after it
            _paint(frames[number : number + 1], thing, number / max(1, num_frames - 1))
    return frames


def coverage(thing: Thing, size: int, moment: float = 0.0) -> Coverage:
    """How much of each pixel a thing covers, float32 [size, size] in [0, 1]."""
    mask, top, left = _patch(thing, size, moment)
    whole = np.zeros((size, size), np.float32)
    whole[top : top + mask.shape[0], left : left + mask.shape[1]] = mask
    return whole


def stencil(kind: Kind, radius: float, center: tuple[float, float], shape: tuple[int, int]) -> Coverage:
    """How much of each pixel of `shape` (rows, columns) a kind covers; radius and centre (x, y) in pixels."""
    import cv2

    fine = np.zeros((shape[0] * FINER, shape[1] * FINER), np.uint8)
    # Pixel i of the fine grid spans [i, i + 1); cv2 means its centre by i.
    corners = (_corners(kind) * radius + center) * FINER - 0.5
    cv2.fillPoly(fine, [np.round(corners * 256).astype(np.int32)], 255, shift=8)
    mask: Coverage = cv2.resize(fine, (shape[1], shape[0]), interpolation=cv2.INTER_AREA) / np.float32(255)
    return mask


def _paint(frames: Pixels, thing: Thing, moment: float) -> None:
    """Paint one thing where it is at a moment onto all of `frames`, which look alike there."""
    mask, top, left = _patch(thing, frames.shape[1], moment)
    part = frames[:, top : top + mask.shape[0], left : left + mask.shape[1]]
    soft = mask[..., None]
    mixed = part[0] * (1 - soft) + np.asarray(COLORS[thing.color], np.float32) * soft
    part[:] = np.round(mixed).astype(np.uint8)


def _patch(thing: Thing, size: int, moment: float) -> tuple[Coverage, int, int]:
    """A thing's coverage in the smallest square of pixels around it, and that square's top and left."""
    x, y = (value * size for value in thing.at(moment))
    reach = int(thing.radius * size) + 2
    left, right = max(0, int(x) - reach), min(size, int(x) + reach + 1)
    top, bottom = max(0, int(y) - reach), min(size, int(y) + reach + 1)
    mask = stencil(thing.kind, thing.radius * size, (x - left, y - top), (bottom - top, right - left))
    return mask, top, left


@cache
def _corners(kind: Kind) -> np.ndarray[Any, np.dtype[np.float64]]:
    return np.array(outline(kind))
