"""Rejects clips with subtitles burnt in, or with writing that runs across the picture.

Source: text boxes of PP-OCRv4's detector (PaddleOCR; DB, Liao et al., AAAI 2020), tracked. cosmos-curate
calls a box an overlay that ten frames or more show at the same place (IoU 0.9), so a sign before a still
camera is one, too. Here writing counts as laid over the picture if it stays to the pixel while its
surroundings move, if it goes or changes while they stay, if it runs at a constant speed that they do not
share, or, where nothing moves, if it is drawn as overlays are, where overlays are. Other writing is
`scene_text`. A name that stands in a corner all the time is no subtitle; `watermark` looks for that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from curation.filters import Clip, Cost, Filter, Frames
from curation.weights import package_version

if TYPE_CHECKING:
    from collections.abc import Sequence

    from curation.text.overlays import Writing


class Subtitles(Filter):
    """Bounds on the share of the time that overlaid writing is on the screen, and runs across it."""

    cost: ClassVar = Cost.MODEL
    applies_to: ClassVar = ("video",)
    needs: ClassVar = (Frames(fps=4, long_side=640, color="gray"),)
    scores: ClassVar = ("subtitle_share", "scroll", "scene_text")
    thresholds: ClassVar = {
        "max_subtitle_share": ("subtitle_share", "max"),
        "max_scroll": ("scroll", "max"),
        "max_scene_text": ("scene_text", "max"),
    }
    reasons: ClassVar = {
        "max_subtitle_share": "subtitled",
        "max_scroll": "scrolling_text",
        "max_scene_text": "much_scene_text",
    }

    max_subtitle_share: float | None = Field(
        default=0.1, ge=0, le=1, description="share of the sampled time with overlaid writing"
    )
    max_scroll: float | None = Field(
        default=0.3, ge=0, le=1, description="share of the searched frames with running writing"
    )
    max_scene_text: float | None = Field(
        default=None, ge=0, description="lines a frame that belong to the scene"
    )

    def revision(self) -> str | None:
        """The version of the package that carries the weights. Raises InputError without it."""
        return package_version("rapidocr-onnxruntime", "PP-OCRv4", "ocr")

    def measure(self, clip: Clip) -> dict[str, float]:
        """Two shares from 0 to 1, and the mean number of lines in the scene."""
        from curation.text import overlays

        frames, times = clip.frames(self.needs[0]), clip.times(self.needs[0])
        found, count = overlays.find(frames, times), len(overlays.looks(times))
        return {
            "subtitle_share": _shown(found),
            "scroll": len({one.track.at for one in found if one.kind == "scroll"}) / count,
            "scene_text": sum(one.kind == "scene" for one in found) / count,
        }


def _shown(found: Sequence[Writing]) -> float:
    """Share of all frames that show any overlaid line but names, which stand all the time elsewhere."""
    import numpy as np

    lines = [one.track.shown for one in found if one.kind == "overlay" and (one.is_subtitle or not one.whole)]
    return float(np.any(lines, axis=0).mean()) if lines else 0.0
