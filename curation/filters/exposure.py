"""Rejects clips that are black, white, far too dark or bright, or washed out; night scenes with lights pass.

Source: the shares of clipped shadows and highlights and the spread of the histogram, as cameras and editors
show exposure, on luma stretched to 0-255 (ITU-R BT.709 black and white). A dark frame is told from a night
scene by its lights, the 99th percentile, and a bright one from a snow scene by its shadows, the 1st: both
over all frames of the clip, so that a fade does not decide. The defaults stand between 62 photographs and 218
clips (99th percentile from 82, 1st up to 119, spread from 0.32, white up to 0.26; one photograph is beyond)
and the same at a fifth of their light (up to 51), lifted by 120 levels (from 120) or at a quarter of their
contrast (up to 0.25).
"""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from curation.filters import Clip, Cost, Filter, Frames

BLACK, WHITE = 8, 247  # luma of 255 at which a pixel counts as clipped


class Exposure(Filter):
    """Bounds on brightness, contrast and clipping, each over all frames of a clip."""

    cost: ClassVar = Cost.FRAMES
    needs: ClassVar = (Frames(fps=2, long_side=256, color="gray", least=2),)
    scores: ClassVar = ("luma", "peak", "floor", "contrast", "black", "white")
    thresholds: ClassVar = {
        "min_luma": ("luma", "min"),
        "max_luma": ("luma", "max"),
        "min_peak": ("peak", "min"),
        "max_floor": ("floor", "max"),
        "min_contrast": ("contrast", "min"),
        "max_white": ("white", "max"),
        "max_black": ("black", "max"),
    }
    reasons: ClassVar = {
        "min_luma": "too_dark",
        "max_luma": "too_bright",
        "min_peak": "too_dark",
        "max_floor": "too_bright",
        "min_contrast": "washed_out",
        "max_white": "overexposed",
        "max_black": "underexposed",
    }

    min_luma: float | None = Field(default=5.0, ge=0, le=255, description="mean luma, 0-255")
    max_luma: float | None = Field(default=225.0, ge=0, le=255, description="mean luma, 0-255")
    min_peak: float | None = Field(default=64.0, ge=0, le=255, description="99th percentile of luma")
    max_floor: float | None = Field(default=125.0, ge=0, le=255, description="1st percentile of luma")
    min_contrast: float | None = Field(default=0.28, ge=0, le=1, description="1st to 99th percentile / 255")
    max_white: float | None = Field(default=0.3, ge=0, le=1, description="share of clipped whites")
    max_black: float | None = Field(default=0.9, ge=0, le=1, description="share of clipped blacks")

    def measure(self, clip: Clip) -> dict[str, float]:
        """Luma from 0 to 255; contrast and shares from 0 to 1."""
        import cv2
        import numpy as np

        frames = clip.frames(self.needs[0])
        counts = sum(
            cv2.calcHist([frame], [0], None, [256], [0, 256]).ravel().astype(int) for frame in frames
        )
        below = np.cumsum(counts) / frames.size
        floor, peak = (float(np.searchsorted(below, share)) for share in (0.01, 0.99))
        return {
            "luma": float(counts @ np.arange(256)) / frames.size,
            "peak": peak,
            "floor": floor,
            "contrast": (peak - floor) / 255,
            "black": float(below[BLACK]),
            "white": float(1 - below[WHITE - 1]),
        }
