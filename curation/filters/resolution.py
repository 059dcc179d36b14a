"""Rejects what is too small to train on.

Source: cosmos-curate 1.4 refuses clips whose shorter side is under 256 px, for training at 480p and up. 128
lets small real footage (QCIF, 176x144) into the small presets; set it to the size of the training buckets.
"""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from curation.filters import Clip, Cost, Filter


class Resolution(Filter):
    """Bounds on the shorter side after rotation."""

    cost: ClassVar = Cost.PROBE
    per_file: ClassVar = True
    scores: ClassVar = ("short_side",)
    thresholds: ClassVar = {"min_short_side": ("short_side", "min"), "max_short_side": ("short_side", "max")}
    reasons: ClassVar = {"min_short_side": "too_small", "max_short_side": "too_large"}

    min_short_side: int | None = Field(default=128, ge=1, description="pixels of the shorter side")
    max_short_side: int | None = Field(default=None, ge=1, description="pixels of the shorter side")

    def measure(self, clip: Clip) -> dict[str, float]:
        """The shorter side in pixels."""
        return {"short_side": float(min(clip.width, clip.height))}
