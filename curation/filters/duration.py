"""Rejects clips that are too short to show anything happen, or too long for one caption.

Source: Panda-70M keeps 1.5 to 60 s, Open-Sora 1.2 cuts to 2 to 15 s, cosmos-curate to 2 to 60 s.
"""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from curation.filters import Clip, Cost, Filter


class Duration(Filter):
    """Bounds on a clip's length."""

    cost: ClassVar = Cost.PROBE
    applies_to: ClassVar = ("video",)
    scores: ClassVar = ("seconds",)
    thresholds: ClassVar = {"min_seconds": ("seconds", "min"), "max_seconds": ("seconds", "max")}
    reasons: ClassVar = {"min_seconds": "too_short", "max_seconds": "too_long"}

    min_seconds: float | None = Field(default=1.5, ge=0, description="length of the clip")
    max_seconds: float | None = Field(default=60.0, gt=0, description="length of the clip")

    def measure(self, clip: Clip) -> dict[str, float]:
        """End minus start."""
        return {"seconds": clip.end_s - clip.start_s}
