"""Rejects what is too small to train on.

Source: cosmos-curate 1.4 refuses clips whose shorter side is under 256 px; Omni-Video's decoder works at 480p and
up, and enlarging invents detail. 144 keeps small real footage for the bundled recipes; raise it to the training size.
"""

from __future__ import annotations

from pydantic import Field

from curation.filters import Clip, Cost, Filter


class Resolution(Filter):
    """Bounds on the shorter side after rotation."""

    cost = Cost.PROBE
    per_file = True
    scores = ("short_side",)
    thresholds = {"min_short_side": ("short_side", "min"), "max_short_side": ("short_side", "max")}
    reasons = {"min_short_side": "too_small", "max_short_side": "too_large"}

    min_short_side: int | None = Field(default=128, ge=1, description="pixels of the shorter side")
    max_short_side: int | None = Field(default=None, ge=1, description="pixels of the shorter side")

    def measure(self, clip: Clip) -> dict[str, float]:
        """The shorter side in pixels."""
        return {"short_side": float(min(clip.width, clip.height))}
