"""How an edit's target differs from its source; runs inside the child process only.

Sizes and frame counts are the whole files'. Pictures are compared at 256 px of their long side, where a
codec's noise is averaged away; of videos, up to eight frames at the same places in both. A pixel has
changed if one of its channels has by more than `CHANGED`. `structure` is the correlation of the edges of
both, -1 to 1: what stays of the source's drawing where light, colour or style change everywhere.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from curation.errors import MediaError
from curation.filters import Frames
from curation.media import decode, picture, probe
from curation.media.held import fit

CHANGED = 16  # of 255
LONG_SIDE = 256
LOOKS = 8  # frames of a video
BLUR = 1.5  # pixels (sigma), before edges are taken
Bytes = NDArray[np.uint8]


class Pictures(NamedTuple):
    """A file's size in pixels, its number of frames, and some of them, small: [H,W,3] each."""

    width: int
    height: int
    frames: int
    looks: list[Bytes]


def compare(source: Path, target: Path, max_pixels: int) -> dict[str, Any]:
    """Sizes and frame counts of both as lists and, where those agree, how much changed. Raises MediaError."""
    first, second = (_pictures(path, max_pixels) for path in (source, target))
    told: dict[str, Any] = {
        "sizes": [[one.width, one.height] for one in (first, second)],
        "frames": [one.frames for one in (first, second)],
    }
    if first[:3] != second[:3]:
        return told
    pairs = list(zip(first.looks, second.looks, strict=True))
    changed = [np.abs(a.astype(np.int16) - b).max(axis=2) > CHANGED for a, b in pairs]
    structure = [_structure(a, b) for a, b in pairs]
    return told | {"changed_share": float(np.mean(changed)), "structure": float(np.mean(structure))}


def _structure(first: Bytes, second: Bytes) -> float:
    a, b = (_edges(one) for one in (first, second))
    a, b = a - a.mean(), b - b.mean()
    scale = float(np.sqrt((a * a).sum() * (b * b).sum()))
    return float((a * b).sum()) / scale if scale > 0 else 0.0


def _edges(pixels: Bytes) -> NDArray[np.float32]:
    """Strength of edges [H,W], its square root taken so that one strong line is not all that counts."""
    grey = cv2.GaussianBlur(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), (0, 0), BLUR).astype(np.float32)
    across, down = (cv2.Sobel(grey, cv2.CV_32F, *order) for order in ((1, 0), (0, 1)))
    return np.asarray(np.sqrt(cv2.magnitude(across, down)), np.float32)


def _pictures(path: Path, max_pixels: int) -> Pictures:
    probe.check_file(path)
    if probe.sniff(path) == "image":
        clip = picture.PictureClip(picture.read(path, max_pixels))
        return Pictures(
            clip.width, clip.height, 1, [clip.frames(Frames(count=1, long_side=LONG_SIDE, color="rgb"))[0]]
        )
    return _video(path, max_pixels)


def _video(path: Path, max_pixels: int) -> Pictures:
    """Decoded once: every frame is counted, and of those at hand the spread-out ones are kept."""
    held: list[tuple[int, Bytes]] = []
    step, count, size = 1, 0, (0, 0)
    with probe.open_video(path, max_pixels) as (container, stream):
        for _, frame in decode.frames(container, stream):
            size = frame.width, frame.height
            if count % step == 0:
                held.append((count, _small(frame)))
            if len(held) > 2 * LOOKS:
                step *= 2
                held = [(place, one) for place, one in held if place % step == 0]
            count += 1
    if not held:
        raise MediaError("empty", "no frame in the file")
    return Pictures(*size, count, [one for _, one in held])


def _small(frame: Any) -> Bytes:
    width, height = fit(frame.width, frame.height, LONG_SIDE)
    return np.asarray(frame.reformat(width, height, "rgb24", interpolation="AREA", threads=1).to_ndarray())
