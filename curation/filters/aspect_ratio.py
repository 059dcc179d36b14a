"""Rejects banners and strips.

Source: Data-Juicer's image_aspect_ratio_filter keeps 0.333 to 3.0; its video filter's 9/21 to 21/9 would
lose CinemaScope (2.39).
"""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from curation.filters import Clip, Cost, Filter


class AspectRatio(Filter):
    """Bounds on width divided by height, after rotation."""

    cost: ClassVar = Cost.PROBE
    per_file: ClassVar = True
    scores: ClassVar = ("ratio",)
    thresholds: ClassVar = {"min_ratio": ("ratio", "min"), "max_ratio": ("ratio", "max")}
    reasons: ClassVar = {"min_ratio": "too_tall", "max_ratio": "too_wide"}

    min_ratio: float | None = Field(default=0.333, gt=0, description="width / height")
    max_ratio: float | None = Field(default=3.0, gt=0, description="width / height")

    def measure(self, clip: Clip) -> dict[str, float]:
        """Width divided by height."""
        return {"ratio": clip.width / clip.height}
