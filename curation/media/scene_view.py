"""Pictures for a scene detector: of each frame every n-th pixel, with no care for its beauty.

Taken of every frame there is, so what counts is how little is done: the planes are read in strides as they
lie, and nothing is allocated but the result.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from curation.media.planes import PLANAR

Bytes = NDArray[np.uint8]
SIDE = 80  # pixels: the longer side is at most this, rounded up to even
NOTHING: Bytes = np.zeros((3, 2), np.uint8)  # a line of pixels shows no scenes


class SceneView:
    """Frames as BGR pictures (BT.601), each `step`-th pixel; by default, at most `SIDE` on the longer side.

    The frames of one view have one size; their planes may be padded as they like.
    """

    def __init__(self, step: int | None = None) -> None:
        self._step = step
        self._format = ""  # of the frames that the strides below are for
        self._strides: tuple[tuple[int, int], ...] = ()  # down and across, of each plane
        self._buffer: Bytes = NOTHING

    def __call__(self, frame: Any) -> Bytes:
        """[h,w,3]."""
        return bgr(self.stored(frame))

    def stored(self, frame: Any) -> Bytes:
        """[3h/2,w] as the planes have them (I420: Y above, then U and V); `bgr` makes the picture."""
        name = frame.format.name
        if name not in PLANAR:
            frame, name = frame.reformat(format="yuv420p", threads=1), "yuv420p"
        planes = frame.planes
        if name != self._format:
            self._prepare(name, planes)
        if not self._buffer.size:
            return NOTHING
        for part, plane, (down, across) in zip(self._parts, planes, self._strides, strict=True):
            part[:] = np.ndarray(part.shape, np.uint8, plane, 0, (down * plane.line_size, across))
        return self._buffer.copy()

    def _prepare(self, name: str, planes: Any) -> None:
        (high, wide), (u_high, u_wide) = ((one.height, one.width) for one in planes[:2])
        step = self._step or -(-max(high, wide) // SIDE)
        step = max(1, min(step, min(high, wide) // 2))
        down, across = 2 * step // -(-high // u_high), 2 * step // -(-wide // u_wide)
        height = min(-(-u_high // down), -(-high // step) // 2)
        width = min(-(-u_wide // across), -(-wide // step) // 2)
        self._format, self._strides = name, ((step, step), (down, across), (down, across))
        self._buffer = np.empty((3 * height, 2 * width), np.uint8)
        chroma = self._buffer[2 * height :].reshape(2, height, width)
        self._parts = (self._buffer[: 2 * height], chroma[0], chroma[1])


def bgr(stored: Bytes) -> Bytes:
    """[h,w,3] of the planes."""
    picture: Bytes = cv2.cvtColor(stored, cv2.COLOR_YUV2BGR_I420)
    return picture
