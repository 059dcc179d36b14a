"""Small pictures straight from a decoded frame's planes.

A full-size frame never goes through swscale, which would cost as much again as decoding it. The planes are
read as they lie; only the small result is converted. Formats other than 8-bit planar YUV are converted
first.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
PLANAR = frozenset(("yuv420p", "yuvj420p", "yuv422p", "yuvj422p", "yuv444p", "yuvj444p"))
FULL_RANGE = 2  # AVCOL_RANGE_JPEG
BT709 = 1  # AVCOL_SPC_BT709
UNSPECIFIED = 2
HD_HEIGHT = 720  # an unmarked frame from this height on is taken as BT.709, as players do
BLACK = 16  # luma of black, and from there to white 219 levels, where the range is not full


def planes(frame: Any) -> tuple[Bytes, Bytes, Bytes]:
    """Y [H,W] and U, V (each as subsampled), without a copy where the format is 8-bit planar YUV."""
    y, u, v = map(_plane, _planar(frame).planes)
    return y, u, v


def _planar(frame: Any) -> Any:
    """8-bit planar YUV; on one thread, since more take more of the CPU than they save."""
    return frame if frame.format.name in PLANAR else frame.reformat(format="yuv420p", threads=1)


def _plane(plane: Any) -> Bytes:
    found: Bytes = np.ndarray((plane.height, plane.width), np.uint8, plane, 0, (plane.line_size, 1))
    return found


def full_range(frame: Any) -> bool:
    """Whether luma spans 0-255 and not 16-235."""
    return bool(frame.color_range == FULL_RANGE or frame.format.name.startswith("yuvj"))


class Pyramid:
    """A frame's planes, each halved as often as somebody has asked for: pictures of all sizes share them."""

    def __init__(self, frame: Any) -> None:
        self._planes = _planar(frame).planes
        self._levels: list[list[Bytes]] = [[], [], []]  # of Y, U and V; empty until somebody asks
        self._full_range = full_range(frame)
        self._hd = frame.colorspace == BT709
        if frame.colorspace == UNSPECIFIED:
            self._hd = frame.height >= HD_HEIGHT

    def gray(self, size: tuple[int, int], rough: bool = False) -> Bytes:
        """[H,W], 0-255, at (width, height); at full size it equals what swscale gives for `gray`.

        `rough` is for sums, not for detail, in a quarter of the time.
        """
        small = self._resized(0, size, cv2.INTER_LINEAR if rough else cv2.INTER_AREA)
        return small.copy() if self._full_range else stretched(small)

    def rgb(self, size: tuple[int, int]) -> Bytes:
        """[H,W,3] at (width, height), with the frame's own matrix (ITU-R BT.601 or BT.709) and range."""
        yuv = cv2.merge([self._resized(number, size, cv2.INTER_LINEAR) for number in range(3)])
        picture: Bytes = cv2.transform(yuv, _to_rgb(self._hd, self._full_range))
        return picture

    def shrink(self, size: tuple[int, int]) -> None:
        """Let go of planes that no picture of (width, height) or less is made of."""
        for number in range(3):
            levels = self._of(number)
            while _twice(levels[0], size):
                levels[:] = levels[1:] or [_halved(levels[0])]
        self._planes = ()

    def _of(self, number: int) -> list[Bytes]:
        levels = self._levels[number]
        if not levels:
            levels.append(_plane(self._planes[number]))
        return levels

    def _resized(self, number: int, size: tuple[int, int], last_step: int) -> Bytes:
        """Y, U or V at (width, height): halved while it is twice too large, which is cheap, then `last_step`.

        A plane of that size already is returned as it lies, not copied.
        """
        levels, level = self._of(number), 0
        while _twice(levels[level], size):
            if level + 1 == len(levels):
                levels.append(_halved(levels[level]))
            level += 1
        return _fitted(levels[level], size, last_step)


def stretched(luma: Bytes) -> Bytes:
    """Luma of 16-235 at 0-255, rounded to the nearest; in one pass, which saturates what is under black."""
    gain = 255 / 219
    whole: Bytes = cv2.addWeighted(luma, gain, luma, 0, -gain * BLACK)
    return whole


def bgr_gray(frame: Any) -> Bytes:
    """[H,W] of all stored pixels, grey as OpenCV reads a file: by swscale to 8-bit BGR, then to grey.

    Dear, and for definitions made on it alone: optical flow of flat areas follows the rounding.
    """
    grey: Bytes = cv2.cvtColor(frame.to_ndarray(format="bgr24", threads=1), cv2.COLOR_BGR2GRAY)
    return grey


def _twice(plane: Bytes, size: tuple[int, int]) -> bool:
    return bool(plane.shape[1] >= 2 * size[0] and plane.shape[0] >= 2 * size[1])


def _halved(plane: Bytes) -> Bytes:
    height, width = plane.shape[0] // 2, plane.shape[1] // 2
    half: Bytes = cv2.resize(plane[: 2 * height, : 2 * width], (width, height), interpolation=cv2.INTER_AREA)
    return half


def _fitted(plane: Bytes, size: tuple[int, int], last_step: int) -> Bytes:
    if plane.shape == (size[1], size[0]):
        return plane
    small: Bytes = cv2.resize(plane, size, interpolation=last_step)
    return small


@cache
def _to_rgb(hd: bool, full: bool) -> NDArray[np.float64]:
    """The 3x4 matrix from YUV (chroma around 128) to RGB."""
    red, blue = (0.2126, 0.0722) if hd else (0.299, 0.114)
    green = 1 - red - blue
    luma, chroma, black = (1.0, 1.0, 0.0) if full else (255 / 219, 255 / 224, 16.0)
    r_v, b_u = 2 * (1 - red) * chroma, 2 * (1 - blue) * chroma
    g_u, g_v = -b_u * blue / green, -r_v * red / green
    turn = np.array([[luma, 0, r_v], [luma, g_u, g_v], [luma, b_u, 0]])
    offset = -turn @ np.array([black, 128.0, 128.0])
    return np.column_stack([turn, offset])
