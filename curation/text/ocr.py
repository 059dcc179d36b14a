"""PP-OCRv4's detector and recogniser, through rapidocr-onnxruntime, whose wheel carries the weights.

The two are apart because finding writing (0.06 s of one core for 640x360) is worth its price on several
frames of a clip, and reading it (0.02 s a line) only where something hangs on what it says. What was found
in a frame is remembered, so that filters that look at the same frame pay once.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from curation.errors import InputError

Bytes = NDArray[np.uint8]
STRIDE = 32  # pixels; the detector's input is a multiple of it
SHORTEST = 320  # pixels; the shorter side of smaller pictures is enlarged to it, or small writing is missed
REMEMBERED = 64  # frames


@dataclass(frozen=True)
class Box:
    """A line of writing: its four corners, clockwise from the top left, in pixels of its picture."""

    corners: tuple[tuple[float, float], ...]

    @property
    def bounds(self) -> tuple[int, int, int, int]:
        """Left, top, right and bottom of the upright rectangle around it."""
        across, down = zip(*self.corners, strict=True)
        return int(min(across)), int(min(down)), int(max(across)) + 1, int(max(down)) + 1

    @property
    def area(self) -> int:
        """Pixels of the upright rectangle."""
        left, top, right, bottom = self.bounds
        return (right - left) * (bottom - top)

    @property
    def length(self) -> float:
        """Pixels along its top edge."""
        return float(np.hypot(*np.subtract(self.corners[1], self.corners[0])))

    @property
    def tilt(self) -> float:
        """Degrees of its top edge from the horizontal, -90 to 90."""
        (x0, y0), (x1, y1) = self.corners[:2]
        return float(np.degrees(np.arctan2(y1 - y0, max(abs(x1 - x0), 1e-6))))


@dataclass(frozen=True)
class Line:
    """What the recogniser reads in a box, and its confidence from 0 to 1."""

    text: str
    confidence: float

    @property
    def characters(self) -> int:
        """Letters and digits."""
        return sum(sign.isalnum() for sign in self.text)


@dataclass
class _Known:
    """What was found in one picture, and read so far."""

    boxes: tuple[Box, ...]
    lines: dict[Box, Line]


_remembered: OrderedDict[tuple[bytes, int], _Known] = OrderedDict()


def boxes(picture: Bytes, shortest: int = SHORTEST) -> tuple[Box, ...]:
    """Lines of writing in [H,W] grey or [H,W,3] RGB, from top to bottom; small pictures are enlarged."""
    return _known(picture, shortest).boxes


def read(picture: Bytes, wanted: Sequence[Box], shortest: int = SHORTEST) -> list[Line]:
    """A Line for each box, upright or tilted; tall ones are read as lines from bottom to top."""
    lines = _known(picture, shortest).lines
    new = [box for box in wanted if box not in lines]
    if new:
        colour = cv2.cvtColor(picture, cv2.COLOR_GRAY2BGR) if picture.ndim == 2 else picture[..., ::-1]
        found, _ = _networks().text_rec([_straightened(np.ascontiguousarray(colour), box) for box in new])
        for box, (text, confidence) in zip(new, found, strict=True):
            lines[box] = Line(text.strip(), float(confidence))
    return [lines[box] for box in wanted]


def _known(picture: Bytes, shortest: int) -> _Known:
    key = hashlib.blake2b(picture.tobytes(), digest_size=16).digest(), shortest
    if key not in _remembered:
        _remembered[key] = _Known(_detect(picture, shortest), {})
        if len(_remembered) > REMEMBERED:
            _remembered.popitem(last=False)
    return _remembered[key]


def _detect(picture: Bytes, shortest: int) -> tuple[Box, ...]:
    height, width = picture.shape[:2]
    scale = max(1.0, shortest / min(height, width))
    size = [max(STRIDE, round(side * scale / STRIDE) * STRIDE) for side in (width, height)]
    small = cv2.resize(picture, size, interpolation=cv2.INTER_LINEAR).astype(np.float32) / 127.5 - 1
    colour = small if small.ndim == 3 else np.repeat(small[..., None], 3, axis=2)
    planes = colour[..., ::-1].transpose(2, 0, 1)
    network = _networks().text_det
    likely = network.infer(np.ascontiguousarray(planes)[None])[0]
    found, _ = network.postprocess_op(likely, (height, width))
    upright = network.filter_tag_det_res(found, (height, width))
    ordered = sorted(upright.tolist(), key=lambda corners: (corners[0][1], corners[0][0]))
    return tuple(Box(tuple((x, y) for x, y in corners)) for corners in ordered)


def _straightened(picture: Bytes, box: Box) -> Bytes:
    source = np.array(box.corners, np.float32)
    wide = max(np.linalg.norm(source[1] - source[0]), np.linalg.norm(source[2] - source[3]))
    high = max(np.linalg.norm(source[3] - source[0]), np.linalg.norm(source[2] - source[1]))
    width, height = max(1, int(wide)), max(1, int(high))
    target = np.array([(0, 0), (width, 0), (width, height), (0, height)], np.float32)
    turn = cv2.getPerspectiveTransform(source, target)
    flat: Bytes = cv2.warpPerspective(
        picture, turn, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
    )
    return np.ascontiguousarray(np.rot90(flat)) if height >= 1.5 * width else flat


@cache
def _networks() -> Any:
    """Both networks, loaded once a process, on one thread. Raises InputError if the package is missing."""
    try:
        from rapidocr_onnxruntime import RapidOCR
    except ImportError as error:
        raise InputError(
            "finding writing needs rapidocr-onnxruntime",
            "text",
            "pip install 'omnivideo[ocr]', or leave text_overlay, subtitles, watermark and"
            " caption.checks.read_text out of the recipe",
        ) from error
    return RapidOCR(text_score=0.0, intra_op_num_threads=1, inter_op_num_threads=1)
