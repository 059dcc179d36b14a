"""The frames of a clip that a captioner looks at, as small JPEGs; runs inside the child process only."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from curation.errors import MediaError
from curation.filters import Kind
from curation.media import decode, picture, planes, probe
from curation.media.held import fit

Bytes = NDArray[np.uint8]


@dataclass(frozen=True)
class Windows:
    """What to take from a clip of `seconds`: `per_window` frames from each of equal windows."""

    kind: Kind
    seconds: float
    window_seconds: float
    max_windows: int
    per_window: int
    long_side: int  # pixels, never enlarged
    jpeg_quality: int
    read_text: bool  # also read the writing in the middle frame of each window

    def spans(self) -> list[tuple[float, float]]:
        """Start and end of each window, in seconds of the clip; an image has one without length."""
        if self.kind == "image":
            return [(0.0, 0.0)]
        count = min(self.max_windows, max(1, math.ceil(self.seconds / self.window_seconds - 1e-6)))
        edges = [self.seconds * i / count for i in range(count + 1)]
        return list(pairwise(edges))

    def points(self) -> list[tuple[int, float]]:
        """Each frame's window and time, the middles of equal parts of the window."""
        each = 1 if self.kind == "image" else self.per_window
        return [
            (window, start + (end - start) * (i + 0.5) / each)
            for window, (start, end) in enumerate(self.spans())
            for i in range(each)
        ]

    def to_json(self) -> dict[str, Any]:
        """Plain data for the way to the child; `Windows(**...)` is the inverse."""
        return asdict(self)


@dataclass(frozen=True)
class Window:
    """One window's JPEGs."""

    start_s: float
    end_s: float
    frames: list[bytes]


def take(path: Path, wanted: Windows, max_pixels: int) -> tuple[list[Window], str]:
    """The windows of a clip's own file, and what can be read in them. Raises MediaError."""
    spans = wanted.spans()
    windows = [Window(start, end, []) for start, end in spans]
    middles: list[Bytes] = []
    seen: list[Bytes] = []
    last = 0
    for window, shown in _pictures(path, wanted, max_pixels):
        if window != last:
            middles.append(seen[len(seen) // 2])
            seen, last = [], window
        seen.append(shown)
        windows[window].frames.append(_jpeg(shown, wanted.jpeg_quality))
    middles.append(seen[len(seen) // 2])
    return windows, _text(middles) if wanted.read_text else ""


def _pictures(path: Path, wanted: Windows, max_pixels: int) -> Iterator[tuple[int, Bytes]]:
    """The window and the picture of each point: the first frame at its time, or after it, else the last."""
    if wanted.kind == "image":
        yield 0, _small(picture.read(path, max_pixels), wanted.long_side)
        return
    points = wanted.points()
    shown: Bytes | None = None
    done = 0
    with probe.open_video(path, max_pixels) as (container, stream):
        for time, frame in decode.frames(container, stream):
            if done < len(points) and time >= points[done][1] - 1e-6:
                shown = _frame(frame, wanted.long_side)
            while done < len(points) and time >= points[done][1] - 1e-6 and shown is not None:
                yield points[done][0], shown
                done += 1
            last = frame
    if done < len(points):
        shown = _frame(last, wanted.long_side)
        yield from ((window, shown) for window, _ in points[done:])


def _frame(frame: Any, long_side: int) -> Bytes:
    small = planes.Pyramid(frame).rgb(fit(frame.width, frame.height, long_side))
    return np.ascontiguousarray(np.rot90(small, round(frame.rotation / 90)))


def _small(pixels: Bytes, long_side: int) -> Bytes:
    size = fit(pixels.shape[1], pixels.shape[0], long_side)
    small: Bytes = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    return small


def _jpeg(pixels: Bytes, quality: int) -> bytes:
    done, data = cv2.imencode(
        ".jpg", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality]
    )
    if not done:
        raise MediaError("undecodable", "a frame could not be made a JPEG")
    return bytes(data)


def _text(pictures: list[Bytes]) -> str:
    from curation.media import writing

    return "\n".join(dict.fromkeys(line for shown in pictures for line in writing.read(shown)))
