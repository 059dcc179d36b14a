"""Rejects what bears a watermark, a logo or a name: overlays that stand all the time, in a corner, or repeat.

Sources: for videos, gradients that agree over frames (Dekel et al., CVPR 2017), here weighed against the
patch's own surroundings, so that a still camera is no watermark; for both, writing in a corner, as in
cosmos-curate's artificial-text filter (10% margins), where captions are, or across the middle; the same
writing three times or more, names of picture agencies, for tiled marks a lattice of peaks in the
autocorrelation of the frames' mean detail; and a small network of this package that finds what is laid over a
picture or a clip's mean frame. Data-Juicer's video_watermark_filter is a classifier at 0.8: `weights` takes
any such model, small enough for the memory limit of the process that decodes; without one there is no score
`classifier`. Images have no score `logo`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import AfterValidator, Field

from curation.filters import Clip, Cost, Filter, Frames
from curation.weights import file_digest, located, package_version

if TYPE_CHECKING:
    from collections.abc import Sequence

    from curation.text.ocr import Box, Line
    from curation.text.overlays import Writing

LOOK = Frames(fps=4, long_side=640, color="gray")
SEEN = Frames(count=8, long_side=640, color="rgb")
COLOUR = Frames(count=3, long_side=448, color="rgb")
IMAGE = Frames(count=1, long_side=960, color="gray")
MOST_READ = 16  # boxes of an image, the largest
IMAGE_SHORTEST = 640  # pixels; small images are enlarged


def _located(weights: str | None) -> str | None:
    return located(weights) if weights else None


class Watermark(Filter):
    """Bounds on six kinds of evidence, and a classifier's."""

    cost: ClassVar = Cost.MODEL
    needs: ClassVar = (LOOK, SEEN)
    version: ClassVar = 6
    scores: ClassVar = (
        "logo",
        "constant_text",
        "stock_words",
        "repeated_text",
        "tiling",
        "overlay",
        "classifier",
    )
    optional: ClassVar = ("logo", "classifier")
    thresholds: ClassVar = {
        "max_logo": ("logo", "max"),
        "max_constant_text": ("constant_text", "max"),
        "max_stock_words": ("stock_words", "max"),
        "max_repeated_text": ("repeated_text", "max"),
        "max_tiling": ("tiling", "max"),
        "max_overlay": ("overlay", "max"),
        "max_classifier": ("classifier", "max"),
    }
    reasons: ClassVar = {
        "max_logo": "logo",
        "max_constant_text": "name_on_screen",
        "max_stock_words": "stock_watermark",
        "max_repeated_text": "repeated_text",
        "max_tiling": "tiled_watermark",
        "max_overlay": "overlaid",
        "max_classifier": "watermarked",
    }

    max_logo: float | None = Field(
        default=0.93, ge=0, le=1, description="probability of a constant mark in a corner of a video"
    )
    max_constant_text: float | None = Field(
        default=0.5, ge=0, le=1, description="share of the time with overlaid writing that does not change"
    )
    max_stock_words: float | None = Field(
        default=0.0, ge=0, description="lines that name an agency or an address"
    )
    max_repeated_text: float | None = Field(
        default=2.0, ge=0, description="times that the same writing stands in a frame"
    )
    max_tiling: float | None = Field(
        default=8.0, ge=0, description="deviations by which a lattice of marks stands out"
    )
    max_overlay: float | None = Field(
        default=0.92,
        ge=0,
        le=1,
        description="probability that anything is laid over the picture, subtitles too, by the network",
    )
    max_classifier: float | None = Field(
        default=0.8, ge=0, le=1, description="mean probability of a watermark by the model of `weights`"
    )
    weights: Annotated[str | None, AfterValidator(_located)] = Field(
        default=None, description="folder or hub id of a transformers image-classification model"
    )

    def requires(self) -> tuple[Frames, ...]:
        """Small colour frames only for a classifier."""
        return (LOOK, SEEN, COLOUR) if self.weights else (LOOK, SEEN)

    def revision(self) -> str | None:
        """The OCR's package, the network's hash, the classifier's. Raises InputError without one."""
        from curation.marks import classifier, overlay

        ocr = package_version("rapidocr-onnxruntime", "PP-OCRv4", "ocr")
        told = f"{ocr}, overlay {file_digest(overlay.WEIGHTS)}"
        return f"{told}, {classifier.revision(self.weights)}" if self.weights else told

    def measure(self, clip: Clip) -> dict[str, float]:
        """Probabilities and shares from 0 to 1, counts, deviations; 0 where there is no evidence."""
        found = _of_image(clip) if clip.kind == "image" else _of_video(clip)
        if self.weights:
            from curation.marks import classifier

            found["classifier"] = classifier.probability(self.weights, clip.frames(COLOUR))
        return found


def _of_video(clip: Clip) -> dict[str, float]:
    from curation.marks import constancy, overlay, tiling
    from curation.text import overlays

    frames, times = clip.frames(LOOK), clip.times(LOOK)
    maps = constancy.measure(frames)
    found = overlays.find(frames, times)
    looks = [[one.line for one in found if one.track.at == at] for at in overlays.looks(times)]
    return {
        "logo": constancy.score(maps),
        "constant_text": _longest(found),
        **_said(looks),
        "tiling": tiling.score(frames),
        "overlay": overlay.score(clip.frames(SEEN).mean(axis=0), maps.change),
    }


def _longest(found: Sequence[Writing]) -> float:
    """The largest share of the time that a name stands."""
    from curation.text import overlays

    shares = (float(one.track.shown.mean()) for one in found if overlays.legible(one.line) and _is_named(one))
    return max(shares, default=0.0)


def _is_named(one: Writing) -> bool:
    """Whether it is an overlay, but no subtitle, or stands all the time where names do."""
    if one.kind == "overlay":
        return not one.is_subtitle
    return one.whole and _is_name(one.track.box, one.shape)


def _of_image(clip: Clip) -> dict[str, float]:
    from curation.marks import overlay, tiling
    from curation.text import ocr, overlays

    picture = clip.frames(IMAGE)[0]
    boxes = sorted(ocr.boxes(picture, IMAGE_SHORTEST), key=lambda box: -box.area)[:MOST_READ]
    lines = ocr.read(picture, boxes, IMAGE_SHORTEST)
    named = [
        overlays.legible(line) and _is_name(box, picture.shape)
        for box, line in zip(boxes, lines, strict=True)
    ]
    said = _said([lines])
    return {
        "constant_text": float(any(named)),
        **said,
        "tiling": tiling.score(picture[None]),
        "overlay": overlay.score(clip.frames(SEEN)[0]),
    }


def _is_name(box: Box, shape: tuple[int, ...]) -> bool:
    """Whether a box is as names are on a picture that does not move: small in a corner or where captions are,
    leaning no more than boxes on texture do, or long and across the middle.
    """
    from curation.text import overlays

    level = overlays.upright(box) or abs(box.tilt) <= overlays.SLANT
    small = level and overlays.low(box, shape) and overlays.placed(box, shape)
    return small or overlays.in_middle(box, shape)


def _said(frames: Sequence[Sequence[Line]]) -> dict[str, float]:
    """What the lines of each frame say: the most of any frame."""
    from curation.text import names, overlays

    legible = [[line for line in lines if overlays.legible(line)] for lines in frames]
    return {
        "stock_words": float(max(map(names.stock_words, legible), default=0)),
        "repeated_text": float(max(map(names.repeats, legible), default=0)),
    }
