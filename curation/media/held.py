"""Decoded frames that are made pictures when somebody asks, and how many of an open scene are kept so."""

from __future__ import annotations

from collections.abc import Collection
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from curation.filters import Frames
from curation.media import planes

Bytes = NDArray[np.uint8]
ROUGH = 256  # pixels: who asks for grey pictures no larger than this looks at no detail
FPS = 2.0  # of the frames kept at first
MOST = 32  # kept of what is open; of more, every other goes
HEAVY_BYTES = 4 << 20  # a frame's, from which on smaller planes are kept where they will do


def fit(width: int, height: int, long_side: int | None) -> tuple[int, int]:
    """(width, height) with the longer one at most `long_side`, never enlarged, at least one pixel each."""
    scale = min(1.0, long_side / max(width, height)) if long_side else 1.0
    return max(1, round(width * scale)), max(1, round(height * scale))


def period(wanted_fps: float, fps: float) -> float:
    """Seconds between samples: a whole number of frames, as near the asked rate as can be."""
    return max(1, round(fps / wanted_fps)) / fps


def slack(fps: float) -> float:
    """Seconds by which stamps may be early: containers round them."""
    return 0.5 / fps - 1e-6


class HeldFrame:
    """A frame in the decoder's own buffer; each picture that is asked of it is made once."""

    def __init__(self, frame: Any, size: tuple[int, int], turns: int) -> None:
        self._frame = frame
        self._size = size  # as stored, with square pixels, before rotation
        self._turns = turns
        self._made: dict[Frames, Bytes] = {}

    @cached_property
    def _pyramid(self) -> planes.Pyramid:
        return planes.Pyramid(self._frame)

    def picture(self, needs: Frames) -> Bytes:
        """[H,W] or [H,W,3] at the size and colour asked for, rotation applied."""
        if needs not in self._made:
            picture = self._stored(needs)
            self._made[needs] = (
                np.ascontiguousarray(np.rot90(picture, self._turns)) if self._turns else picture
            )
        return self._made[needs]

    def shrink(self, wanted: Collection[Frames]) -> None:
        """Let go of what these need not: their pictures stay the same to the bit."""
        bytes_held = self._frame.width * self._frame.height * 3 // 2
        if bytes_held > HEAVY_BYTES and not any(need.color == "bgr_gray" for need in wanted):
            self._pyramid.shrink(max(fit(*self._size, need.long_side) for need in wanted))
            self._frame = None

    def _stored(self, needs: Frames) -> Bytes:
        if needs.color == "bgr_gray":
            return planes.bgr_gray(self._frame)
        size = fit(*self._size, needs.long_side)
        if needs.color == "rgb":
            return self._pyramid.rgb(size)
        return self._pyramid.gray(size, rough=needs.long_side is not None and needs.long_side <= ROUGH)


class Candidates:
    """Frames for those who ask by count, spread evenly over what is open: few pictures, of any long scene.

    Which ones are kept depends on the scene's frames alone, not on which of them somebody wants.
    """

    def __init__(self, wanted: Collection[Frames], fps: float) -> None:
        self._wanted = wanted
        self._fps = fps
        self._slack = slack(fps)
        self._kept: list[tuple[float, HeldFrame | None]] = []
        self.new_scene(0.0)

    def new_scene(self, time: float) -> None:
        """A new scene begins, at the first rate again."""
        self._period = period(FPS, self._fps)
        self.next = time - self._slack

    def add(self, time: float, frame: HeldFrame | None) -> None:
        """Keep a frame that is due; None where it is of no clip to judge."""
        if frame:
            frame.shrink(self._wanted)
        self._kept.append((time, frame))
        if len(self._kept) > MOST:
            self._kept = self._kept[::2]
            self._period *= 2
        self.next = max(self.next, self._kept[-1][0] - self._slack) + self._period

    def forget(self, before: float) -> None:
        """Drop frames of clips that are done."""
        self._kept = [sample for sample in self._kept if sample[0] >= before - 1e-6]

    def kept(self) -> list[tuple[float, HeldFrame]]:
        """The frames, with their times in seconds."""
        return [(time, frame) for time, frame in self._kept if frame]
