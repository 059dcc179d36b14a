"""The shape of a clip's pictures: square pixels, and what is taken off their sides."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from curation.filters import Clip, Frames, Kind, Margins

    Pictures = NDArray[np.uint8]

NEARLY = 0.02  # a pixel wider or higher by so little is square: sizes were rounded
WIDEST_PIXEL = 4.0  # beyond it, or its inverse, the file is taken to be wrong
SMALLEST = 4  # pixels of a side that can lose some
ROUNDING = 1e-6  # shares times a side are whole pixels but for this


def is_square(ratio: Fraction | None) -> bool:
    """Whether pixels of this width over height are shown as they are; None and 0 say nothing."""
    pixel = float(ratio or 1)
    return abs(pixel - 1) <= NEARLY or not 1 / WIDEST_PIXEL <= pixel <= WIDEST_PIXEL


def square(width: int, height: int, ratio: Fraction | None) -> tuple[int, int]:
    """Width and height of a stored frame with square pixels: as many lines, an even number of columns."""
    if is_square(ratio):
        return width, height
    return max(2, 2 * round(width * float(ratio or 1) / 2)), height


def box(width: int, height: int, margins: Margins) -> tuple[int, int, int, int]:
    """Left, top, right and bottom edge, in pixels, of what margins leave: even numbers, inside the margins.

    A side without margins at its ends keeps its length, odd or not.
    """
    (left, right), (top, bottom) = _kept(width, *margins[2:]), _kept(height, *margins[:2])
    return left, top, right, bottom


def inside(pictures: Pictures, margins: Margins) -> Pictures:
    """A view of [T,H,W] or [T,H,W,3] without its margins."""
    left, top, right, bottom = box(pictures.shape[2], pictures.shape[1], margins)
    return pictures[:, top:bottom, left:right]


def _kept(side: int, before: float, after: float) -> tuple[int, int]:
    if (before <= 0 and after <= 0) or side < SMALLEST:
        return 0, side
    first = 2 * math.ceil(before * side / 2 - ROUNDING)
    last = 2 * math.floor((1 - after) * side / 2 + ROUNDING)
    first = min(first, side // 2 * 2 - 2)
    return first, max(last, first + 2)


def without(clip: Clip, margins: Margins) -> Clip:
    """A clip without its margins; the clip itself if it has none."""
    return CroppedClip(clip, margins) if any(margins) else clip


class CroppedClip:
    """A clip without its margins, as filters see it (`curation.filters.Clip`): a view of the same samples."""

    def __init__(self, whole: Clip, margins: Margins) -> None:
        self._whole = whole
        self._margins = margins
        self.kind: Kind = whole.kind
        self.fps, self.num_frames = whole.fps, whole.num_frames
        self.start_s, self.end_s = whole.start_s, whole.end_s
        left, top, right, bottom = box(whole.width, whole.height, margins)
        self.width, self.height = right - left, bottom - top

    def frames(self, needs: Frames) -> Pictures:
        """[T,H,W] or [T,H,W,3]: the frames taken of the whole clip, less their margins; all its vectors."""
        frames = self._whole.frames(needs)
        return frames if needs.color == "vectors" else inside(frames, self._margins)

    def times(self, needs: Frames) -> NDArray[np.float64]:
        """[T] seconds of the source at which `frames` were taken."""
        return self._whole.times(needs)
