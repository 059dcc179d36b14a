"""Rejects clips with bars beside the picture: black on any side, or of another colour on opposite sides.

Sources: FFmpeg's cropdetect calls a line black when its mean luma is under 24 of 255; by that rule a dark
scene has bars and a subtitle inside a bar hides it. Here a line counts by the share of its pixels that differ
from the bar's colour at any sampled time, and a bar must end in a straight edge, where that share jumps. A
night sky over roofs, a planet in space or white text on black has no such edge. Five percent of the frame is
well under the smallest bars in use (2.0:1 in 16:9, 11 percent).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from curation.filters import Clip, Cost, Filter, Frames, Margins

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Pictures = NDArray[np.uint8]  # [T, lines, pixels of a line]
    Shares = NDArray[np.float64]  # [lines], 0 to 1

DEEPEST = 0.4  # share of the side that one bar may cover: 9:16 in 16:9 leaves bars of 0.34
BLACK = 32  # luma up to which one bar alone counts
SAME = 16  # levels by which a bar's pixels may differ from its colour: compression, noise
OUTER_LINES = 4  # at the frame's edge, to know the colour from
OUTER_SHARE = 0.25  # of these lines' pixels may show something else: a logo, a timecode
BAR_SHARE = 0.3  # of a bar's pixels may show something else: subtitles
STEP_SHARE = 0.5  # of the picture's own share by which the share must jump at the bar's edge
STEP_RATIO = 2  # by which the mean share must rise there
ENOUGH = 320  # pixels of a line
PICTURE_SHARE = 0.3  # a picture shows something at this share of its pixels at least


class Letterbox(Filter):
    """Bounds on the share of the frame that bars cover."""

    cost: ClassVar = Cost.FRAMES
    needs: ClassVar = (Frames(fps=1, color="gray", least=2),)
    version: ClassVar = 2
    scores: ClassVar = ("top", "bottom", "left", "right", "area")
    thresholds: ClassVar = {"max_area": ("area", "max")}
    reasons: ClassVar = {"max_area": "bars"}

    max_area: float | None = Field(default=0.05, ge=0, le=1, description="share of the frame under bars")

    crop: bool = Field(
        default=False,
        description="keep such clips, without their bars: all other filters then judge what is left, "
        "and no bar counts as `area`",
    )

    @property
    def crops(self) -> bool:
        """As asked."""
        return self.crop

    def margins(self, scores: Mapping[str, float]) -> Margins:
        """The bars."""
        return scores["top"], scores["bottom"], scores["left"], scores["right"]

    def measure(self, clip: Clip) -> dict[str, float]:
        """Bars as shares of the height (top, bottom) and width (left, right); times it, whole pixels.

        `area` is the share of the frame under bars that stay.
        """
        frames = clip.frames(self.needs[0])
        top, bottom, left, right = bars(frames)
        height, width = frames.shape[1:]
        t, b, x, y = top / height, bottom / height, left / width, right / width
        area = 0.0 if self.crop else 1 - (1 - t - b) * (1 - x - y)
        return {"top": t, "bottom": b, "left": x, "right": y, "area": area}


def bars(frames: Pictures) -> tuple[int, int, int, int]:
    """Lines of bars of [T,H,W]: top, bottom, left, right."""
    height, width = frames.shape[1:]
    top, bottom = _opposite(frames)
    left, right = _opposite(frames[:, top : height - bottom].transpose(0, 2, 1))
    if left or right:  # which hid how wide the picture's lines are
        top, bottom = _opposite(frames[:, :, left : width - right])
    return top, bottom, left, right


def _opposite(frames: Pictures) -> tuple[int, int]:
    """Lines of the bars at both ends of [T, lines, pixels]; of long lines every n-th pixel says as much."""
    frames = frames[:, :, :: max(1, frames.shape[2] // ENOUGH)]
    (first, colour), (last, other) = _bar(frames), _bar(frames[:, ::-1])
    slack = max(2, frames.shape[1] // 50)
    if not (first and last and abs(first - last) <= slack and abs(colour - other) <= SAME):
        first, last = first * (colour <= BLACK), last * (other <= BLACK)
    return first, last


def _bar(frames: Pictures) -> tuple[int, int]:
    """How many lines at the start of [T, lines, pixels] are a bar, and its colour."""
    import numpy as np

    outer = frames[:, 1 : 1 + OUTER_LINES]
    colour = int(np.median(outer[len(outer) // 2]))
    if any(_differing(lines, colour) > OUTER_SHARE for lines in outer):  # most pictures end at the first
        return 0, colour
    shown, near = _shares(frames, colour)
    reach = max(2, len(shown) // 200)
    edge = _edge(shown, near, reach)
    return (_refined(frames, colour, edge, reach) if edge else 0), colour


def _differing(pixels: Pictures, colour: int) -> float:
    """The share of pixels that are not of the colour."""
    import numpy as np

    return np.count_nonzero(np.abs(pixels.astype(np.int16) - colour) > SAME) / pixels.size


def _shares(frames: Pictures, colour: int) -> tuple[Shares, Shares]:
    """Of each line, the share of pixels that ever differ from the colour, and the mean share near to it."""
    import cv2
    import numpy as np

    flat = np.full_like(frames[0], colour)
    ever = np.zeros_like(frames[0])
    near = np.zeros(len(flat))
    for frame in frames:
        difference = cv2.absdiff(frame, flat)
        ever = cv2.max(ever, difference)
        near += _above(difference, SAME // 2)
    return _above(ever, SAME), near / len(frames)


def _above(levels: NDArray[np.uint8], limit: int) -> Shares:
    """Of each line, the share of pixels above the limit: numpy's mean of booleans takes ten times as long."""
    import cv2

    _, ones = cv2.threshold(levels, limit, 1, cv2.THRESH_BINARY)
    shares: Shares = cv2.reduce(ones, 1, cv2.REDUCE_SUM, dtype=cv2.CV_32S)[:, 0] / levels.shape[1]
    return shares


def _edge(shown: Shares, near: Shares, reach: int) -> int:
    """The line at which `shown` jumps over `near`, with little before it and a picture after it; else 0."""
    import numpy as np

    deepest = int(len(shown) * DEEPEST)
    picture = float(np.quantile(shown[deepest : len(shown) - deepest], 0.25))  # text has gaps between lines
    if picture < PICTURE_SHARE or deepest <= reach:
        return 0
    lines = np.arange(1, deepest)
    before = np.pad(near[: deepest - 1], (reach - 1, 0), mode="edge")
    sides = np.stack((shown[1 : deepest + reach - 1], near[1 : deepest + reach - 1], before))
    windows = np.lib.stride_tricks.sliding_window_view(sides, reach, axis=1)
    most, after, before = windows[0].max(axis=1), windows[1].max(axis=1), windows[2].min(axis=1)
    jump = most - before
    # Who moves before the dark fills lines in time that no edge divides.
    jump[after < STEP_RATIO * before] = 0
    jump[np.cumsum(shown)[lines - 1] / lines > BAR_SHARE] = 0
    best = int(jump.argmax())
    return int(lines[best]) if jump[best] >= STEP_SHARE * picture else 0


def _refined(frames: Pictures, colour: int, edge: int, reach: int) -> int:
    """The line near `edge` before which the mean difference from the bar's colour rises most."""
    import numpy as np

    low = max(0, edge - reach - 1)
    near = frames[:, low : edge + reach + 1].astype(np.int16) - colour
    rise = np.diff(np.abs(near).mean(axis=(0, 2)))
    return low + 1 + int(rise.argmax())
