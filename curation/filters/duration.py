"""Rejects clips that are too short to show anything happen, or too long for one caption.

Source: Panda-70M keeps 1.5 to 60 s, Open-Sora 1.2 cuts to 2 to 15 s, cosmos-curate to 2 to 60 s.
"""

from __future__ import annotations

from pydantic import Field

from curation.filters import Clip, Cost, Filter


class Duration(Filter):
    """Bounds on a clip's length."""

    cost = Cost.PROBE
    applies_to = ("video",)
    scores = ("seconds",)
    thresholds = {"min_seconds": ("seconds", "min"), "max_seconds": ("seconds", "max")}
    reasons = {"min_seconds": "too_short", "max_seconds": "too_long"}

    min_seconds: float | None = Field(default=1.5, ge=0, description="length of the clip")
    max_seconds: float | None = Field(default=60.0, gt=0, description="length of the clip")

    def measure(self, clip: Clip) -> dict[str, float]:
        """End minus start."""
        return {"seconds": clip.end_s - clip.start_s}
