"""Rejects clips that stand still in part (slide shows, frozen or repeated frames) or that flash and jump.

Sources: Open-Sora-Plan 1.3 drops clips by the LPIPS of neighbouring frames, under 0.001 as static and over
0.3 as jitter; flashes are counted as WCAG 2.2 (success criterion 2.3.1) and ITU-R BT.1702 do, as pairs of
opposing changes of a tenth of full luminance. Here all is arithmetic on small grey frames, nine a second:
what repeats every third frame of 25 can hide between them. Mean flow, which `motion` bounds, is high for a
slide show that cuts and for a strobe. Of 196 animated and real clips that are not titles, one repeats over
half of its frames, none jumps or flashes as often as the defaults.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from curation.filters import Clip, Cost, Filter, Frames

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

BLOCK = 8  # pixels of the small frame: a block that moves is not lost in the mean of the frame
STILL = 1.0  # levels by which the block that changes most differs in a repeated frame
JUMP = 10.0  # levels of mean difference, to both neighbours, of a frame that does not belong
RETURN = 0.5  # and the neighbours differ from each other by less than this share of that
FLASH = 25.0  # levels, a tenth of full luminance


class Static(Filter):
    """Bounds on repeated frames, frames that do not belong, and flashes."""

    cost: ClassVar = Cost.FRAMES
    applies_to: ClassVar = ("video",)
    # 9.2 makes the step an odd number of frames at 24, 25, 30, 48, 50 and 60 a second: a strobe of every
    # second frame is seen.
    needs: ClassVar = (Frames(fps=9.2, long_side=160, color="gray", least=2),)
    scores: ClassVar = ("repeated", "jumps", "flashes")
    thresholds: ClassVar = {
        "max_repeated": ("repeated", "max"),
        "max_jumps": ("jumps", "max"),
        "max_flashes": ("flashes", "max"),
    }
    reasons: ClassVar = {"max_repeated": "frozen", "max_jumps": "jitter", "max_flashes": "flashing"}

    max_repeated: float | None = Field(default=0.5, ge=0, le=1, description="share of repeated frames")
    max_jumps: float | None = Field(default=0.6, ge=0, description="frames that do not belong, a second")
    max_flashes: float | None = Field(default=1.0, ge=0, description="flashes a second")

    def measure(self, clip: Clip) -> dict[str, float]:
        """`repeated` from 0 to 1 of the sampled pairs; `jumps` and `flashes` a second."""
        from itertools import pairwise

        import cv2
        import numpy as np

        need = self.needs[0]
        frames, times = clip.frames(need), clip.times(need)
        seconds = max(float(times[-1] - times[0]), 1e-3)
        steps = np.array([_change(a, b) for a, b in pairwise(frames)])
        still = [
            step < STILL and _most_changed(a, b) < STILL  # the most is no less than the mean
            for step, (a, b) in zip(steps, pairwise(frames), strict=True)
        ]
        skips = np.array([_change(a, b) for a, b in zip(frames, frames[2:], strict=False)])
        luma = [cv2.mean(frame)[0] for frame in frames]
        return {
            "repeated": float(np.mean(still)),
            "jumps": _jumps(steps, skips) / seconds,
            "flashes": _flashes(luma) / seconds,
        }


def _change(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> float:
    """Mean absolute difference, levels."""
    import cv2

    return float(cv2.norm(a, b, cv2.NORM_L1)) / a.size


def _most_changed(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> float:
    """Mean absolute difference, levels, of the block where it is largest."""
    import cv2

    difference = cv2.absdiff(a, b).astype("float32")
    size = max(1, a.shape[1] // BLOCK), max(1, a.shape[0] // BLOCK)
    return float(cv2.resize(difference, size, interpolation=cv2.INTER_AREA).max())


def _jumps(steps: NDArray[np.float64], skips: NDArray[np.float64]) -> int:
    """How many frames differ from both neighbours, far more than these from each other."""
    import numpy as np

    less = np.minimum(steps[:-1], steps[1:])
    return int(((less > JUMP) & (skips < RETURN * less)).sum())


def _flashes(luma: list[float]) -> float:
    """Pairs of opposing changes of luma by FLASH or more, between its turning points."""
    extremes = [luma[0]]
    rising = 0
    count = 0
    for value in luma[1:]:
        step = value - extremes[-1]
        if rising and step * rising > 0:
            extremes[-1] = value  # still on its way
        elif abs(step) >= FLASH:
            count += bool(rising)
            rising = 1 if step > 0 else -1
            extremes.append(value)
    return count / 2
