"""Rejects clips with too few frames a second to show motion, or more than any use of them.

Sources: the paper trains on 8 frames a second and later on 12 (§4.2); its decoder, Wan 2.1, was trained at 16
(arXiv:2503.20314). Under 8, motion between frames is guesswork. The rate is counted,
not read from the header alone: a screen recording of variable rate announces 60 and may show 3. Frames that
only repeat the one before are the business of `static`.
"""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from curation.filters import Clip, Cost, Filter


class FrameRate(Filter):
    """Bounds on the frames that a clip really has a second."""

    cost: ClassVar = Cost.PROBE
    applies_to: ClassVar = ("video",)
    scores: ClassVar = ("fps", "header_fps")
    thresholds: ClassVar = {"min_fps": ("fps", "min"), "max_fps": ("fps", "max")}
    reasons: ClassVar = {"min_fps": "too_few_frames", "max_fps": "too_many_frames"}

    min_fps: float | None = Field(default=7.5, ge=0, description="frames a second, counted over the clip")
    max_fps: float | None = Field(default=130.0, gt=0, description="frames a second, counted over the clip")

    def measure(self, clip: Clip) -> dict[str, float]:
        """Counted and announced frames a second; a clip without length, or a header without rate, gives 0."""
        seconds = clip.end_s - clip.start_s
        return {"fps": clip.num_frames / seconds if seconds > 0 else 0.0, "header_fps": clip.fps or 0.0}
