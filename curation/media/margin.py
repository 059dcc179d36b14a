"""Hard cuts as the border between two groups of frames that differ more across it than within themselves.

Source: shot boundaries as a partition of the frames around them, by similarity across and within the parts:
Yuan et al., "A Formal Study of Shot Boundary Detection" (IEEE TCSVT 17(2), 2007). A difference between
neighbours alone (PySceneDetect's content score) also rises when the camera shakes or a light flashes. Here
four frames on either side have a say: the least difference across the border must exceed the largest
between neighbours on either side. A difference is the sum of three, each 0 to 100 or so: PySceneDetect's
(hue, saturation, value), that of colour histograms (blind to motion) and that of 16x9 pictures (blind to
small motion, not to colours that change places).
"""

from __future__ import annotations

from collections import deque
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

from curation.media.scene_view import SceneView, bgr

Bytes = NDArray[np.uint8]
# Frames on either side; repeats of up to three (12 or 8 drawings a second) are not taken for stills.
REACH = 4
# A smaller step, in PySceneDetect's difference, may be a repeated frame: it says nothing of motion.
REPEAT = 1.0
MEMORY = 16  # frames before a cut that are searched for steps that are none
BINS = 8  # of each of blue, green and red
COARSE = (16, 9)  # width, height
# Levels of luma and chroma, on the mean: what changes by less, or by less than the steps beside it, is not
# looked at in colour. Of 132 cuts, dark and grey ones among them, the least has 12, and twice what is beside.
SMALL_STEP = 3.0
LEAST_STEP = 4.0  # of PySceneDetect's difference, without which there is no cut, in dark grey scenes either


class _Look:
    """A frame, as it is compared; most frames are only asked whether they changed at all."""

    def __init__(self, stored: Bytes) -> None:
        self._stored = stored

    def moved(self, other: _Look) -> float:
        """Mean difference of luma and chroma, levels."""
        return cv2.norm(self._stored, other._stored, cv2.NORM_L1) / self._stored.size

    def step(self, other: _Look) -> float:
        """PySceneDetect's difference."""
        return cv2.norm(self._hsv, other._hsv, cv2.NORM_L1) / self._hsv.size

    def apart(self, other: _Look) -> NDArray[np.float64]:
        """[3] differences."""
        colours = cv2.norm(self._histogram, other._histogram, cv2.NORM_L1) * 50
        coarse = cv2.norm(self._coarse, other._coarse, cv2.NORM_L1) / self._coarse.size
        return np.array((self.step(other), colours, coarse))

    @cached_property
    def _picture(self) -> Bytes:
        return bgr(self._stored)

    @cached_property
    def _hsv(self) -> Bytes:
        hsv: Bytes = cv2.cvtColor(self._picture, cv2.COLOR_BGR2HSV)
        return hsv

    @cached_property
    def _histogram(self) -> NDArray[np.float32]:
        """Sums to 1."""
        counts = cv2.calcHist([self._picture], [0, 1, 2], None, [BINS] * 3, [0, 256] * 3)
        shares: NDArray[np.float32] = counts.ravel() * (3 / self._picture.size)
        return shares

    @cached_property
    def _coarse(self) -> Bytes:
        small: Bytes = cv2.resize(self._picture, COARSE, interpolation=cv2.INTER_AREA)
        return small


class _Step:
    """From one frame to the next."""

    def __init__(self, before: _Look, after: _Look) -> None:
        self._pair = before, after
        self.moved = before.moved(after)  # levels

    @cached_property
    def size(self) -> float:
        """PySceneDetect's difference."""
        before, after = self._pair
        return before.step(after)

    @cached_property
    def apart(self) -> NDArray[np.float64]:
        """[3] differences."""
        before, after = self._pair
        return before.apart(after)


class Margin:
    """Cuts where the margin (least across less most within) reaches the threshold."""

    lag = REACH - 1

    def __init__(self, threshold: float, min_frames: int) -> None:
        self.view = SceneView().stored
        self._threshold = threshold
        self._min_frames = min_frames
        self._looks: deque[_Look] = deque(maxlen=2 * REACH)
        self._steps: deque[_Step] = deque(maxlen=MEMORY + REACH)  # to each frame from the one before it
        self._seen = 0
        self._last = 0  # the last cut

    def push(self, index: int, stored: Bytes) -> list[int]:
        """The cut `lag` frames ago, if there is one."""
        look = _Look(stored)
        self._steps.append(_Step(self._looks[-1] if self._looks else look, look))
        self._looks.append(look)
        self._seen += 1
        return self._decide(REACH)

    def finish(self) -> list[int]:
        """A cut among the last frames."""
        return [cut for after in range(REACH - 1, 0, -1) for cut in self._decide(after)]

    def _decide(self, after: int) -> list[int]:
        """Whether the border before the last `after` frames is a cut."""
        cut = self._seen - after
        if cut < 1 or cut - self._last < self._min_frames or not self._is_cut(after):
            return []
        self._last = cut
        return [cut]

    def _is_cut(self, after: int) -> bool:
        """Asked of each frame, so what is quick and says no comes first."""
        steps = self._steps
        step, beside = steps[-after], [steps[later] for later in range(1 - after, 0)]
        if step.moved < SMALL_STEP:
            return False
        around = [steps[-after - 1], *beside]
        if step.moved < max(other.moved for other in around) or step.size < LEAST_STEP:
            return False
        if step.apart.sum() < self._threshold or any(step.size < other.size for other in around):
            return False
        since_cut = self._seen - after - self._last - 1  # steps before this one, of the same shot
        earlier = list(steps)[-after - min(MEMORY, since_cut) : -after]
        beside += [other for other in earlier if other.size >= REPEAT][1 - REACH :]
        within = np.max([np.zeros(3), *(other.apart for other in beside)], axis=0)
        if (step.apart - within).sum() < self._threshold:
            return False
        looks = list(self._looks)
        pairs = [a.apart(b) for a in looks[-after - REACH : -after] for b in looks[-after:]]
        return bool((np.min(pairs, axis=0) - within).sum() >= self._threshold)
