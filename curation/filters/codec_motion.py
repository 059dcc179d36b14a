"""Rejects clips that even their codec found to stand still, without looking at a pixel.

Source: cosmos-curate's motion filter (codec motion vectors, their mean and that of the calmest patch), which
reads the first half of a clip at 2 frames a second, in units that depend on the encoder. Here it is the whole
clip at 6 a second, in percent of the frame's diagonal a second. HEVC, VP9, AV1 and codecs without prediction
give no vectors: then there is nothing to judge, and only `frames` (read, 0) is a score.

The default rejects what has no motion at all and leaves the rest to `motion`: a still picture made a video
scores 0.002 to 0.02 (encoders refine the first frames), a surveillance camera with a few people 0.2, all of
40 other real clips more.
"""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from curation.filters import VECTORS, Clip, Cost, Filter


class CodecMotion(Filter):
    """Bounds on the mean speed of the codec's motion vectors, over the frame and in its calmest sixteenth."""

    cost: ClassVar = Cost.FRAMES
    applies_to: ClassVar = ("video",)
    needs: ClassVar = (VECTORS,)
    scores: ClassVar = ("frames", "speed", "patch_speed")
    optional: ClassVar = ("speed", "patch_speed")
    thresholds: ClassVar = {"min_speed": ("speed", "min"), "min_patch_speed": ("patch_speed", "min")}
    reasons: ClassVar = {"min_speed": "static", "min_patch_speed": "static_patch"}

    min_speed: float | None = Field(default=0.02, ge=0, description="percent of the diagonal a second")
    min_patch_speed: float | None = Field(
        default=None, ge=0, description="percent of the diagonal a second, of the calmest sixteenth"
    )

    def measure(self, clip: Clip) -> dict[str, float]:
        """`frames` is how many frames' vectors were read; if none, it is the only score."""
        import numpy as np

        times = clip.times(VECTORS)
        inside = times > clip.start_s + 1e-6  # the first frame's vectors come from the clip before
        read = {"frames": float(inside.sum())}
        if not inside.any():
            return read
        speeds = np.ma.masked_invalid(clip.frames(VECTORS)[inside])
        patches = speeds.mean(axis=0).compressed()
        return {**read, "speed": float(speeds.mean()), "patch_speed": float(patches.min())}
