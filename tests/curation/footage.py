"""Making and reading small videos: variants of real clips whose truth is known."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from numpy.typing import NDArray

Pictures = list[NDArray[np.uint8]]
TICKS = 12_800  # a second, except where a codec wants frames


def read(path: Path | Any, limit: int | None = None) -> Pictures:
    """RGB frames of a file, as stored."""
    with av.open(path) as container:
        frames = container.decode(video=0)
        return [
            frame.to_ndarray(format="rgb24") for frame, _ in zip(frames, range(limit or 10**6), strict=False)
        ]


def times(path: Path | Any) -> list[float]:
    """Seconds of a file's frames."""
    with av.open(path) as container:
        return [float(frame.time) for frame in container.decode(video=0)]


def fitted(pictures: Iterable[NDArray[np.uint8]], width: int, height: int) -> Pictures:
    """The pictures at one size."""
    return [cv2.resize(p, (width, height), interpolation=cv2.INTER_AREA) for p in pictures]


def write(
    path: Path,
    pictures: Sequence[NDArray[np.uint8]],
    fps: float = 25,
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    at: Sequence[float] | None = None,
    turn: int = 0,
    options: dict[str, str] | None = None,
) -> Path:
    """A video of RGB pictures; `at` gives their times (else they follow at `fps`), `turn` only metadata."""
    ticks = round(fps) if codec == "mpeg2video" else TICKS
    with av.open(str(path), "w") as out:
        stream: Any = out.add_stream(codec, rate=Fraction(fps).limit_denominator(1001), options=options or {})
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = pix_fmt
        stream.codec_context.time_base = Fraction(1, ticks)
        if turn:
            stream.set_display_rotation(turn)
        for index, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
            frame.pts = round((at[index] if at else index / fps) * ticks)
            frame.time_base = Fraction(1, ticks)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


def noisy_still(picture: NDArray[np.uint8], count: int, sigma: float = 2.0) -> Pictures:
    """A camera on a tripod: one picture with fresh sensor noise in each frame."""
    random = np.random.default_rng(0)
    noise = [random.normal(0, sigma, picture.shape) for _ in range(count)]
    return [np.clip(picture + n, 0, 255).astype(np.uint8) for n in noise]


def psnr(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> float:
    """Decibels."""
    return float(cv2.PSNR(a, b))
