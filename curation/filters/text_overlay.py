"""Rejects clips with much text: title cards, slides, pages, writing.

Source: PP-OCRv4's detector and recogniser (PaddleOCR; DB, Liao et al., AAAI 2020; SVTR, Du et al., IJCAI
2022) through rapidocr-onnxruntime, whose wheel carries the weights. cosmos-curate and Data-Juicer stop at
the detector's boxes; on real photographs it also boxes cups, clocks and horses. Here a box counts if the
recogniser reads two letters in it, or if the frame has six boxes or more (writing that it cannot read):
on scikit-image's pictures that leaves text.png and page.png.

Videos are looked at in grey at no more than 640 pixels, up to three frames, which `subtitles` and
`watermark` look at as well: each is searched once for all of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from curation.filters import Clip, Cost, Filter, Frames
from curation.weights import package_version

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

CONFIDENT = 0.5  # of the recogniser, RapidOCR's own default
MANY_BOXES = 6
MOST_READ = 16  # boxes a frame, the largest: enough to reject it
MOST_FRAMES = 3
IMAGE_SHORTEST = 640  # pixels; small pictures are enlarged, for handwriting
IMAGE = Frames(count=1, long_side=960, color="gray")


class TextOverlay(Filter):
    """Bounds on the share of the frame that text covers and on how much there is to read, means of frames."""

    cost: ClassVar = Cost.MODEL
    needs: ClassVar = (Frames(fps=4, long_side=640, color="gray"),)
    scores: ClassVar = ("text_area", "text_boxes", "characters")
    thresholds: ClassVar = {
        "max_text_area": ("text_area", "max"),
        "max_text_boxes": ("text_boxes", "max"),
        "max_characters": ("characters", "max"),
    }
    reasons: ClassVar = {
        "max_text_area": "too_much_text",
        "max_text_boxes": "too_much_text",
        "max_characters": "too_much_to_read",
    }

    max_text_area: float | None = Field(
        default=0.045, ge=0, le=1, description="share of the frame under text"
    )
    max_text_boxes: float | None = Field(default=None, ge=0, description="mean number of text boxes a frame")
    max_characters: float | None = Field(
        default=40.0, ge=0, description="mean number of letters and digits read in a frame"
    )

    def revision(self) -> str | None:
        """The version of the package that carries the weights. Raises InputError without it."""
        return package_version("rapidocr-onnxruntime", "PP-OCRv4", "ocr")

    def measure(self, clip: Clip) -> dict[str, float]:
        """`text_area` from 0 to 1, the number of boxes and of characters, averaged over the frames."""
        import numpy as np

        from curation.text import ocr

        shortest = IMAGE_SHORTEST if clip.kind == "image" else ocr.SHORTEST
        rows = [_measures(frame, shortest) for frame in _looked_at(clip, self.needs[0])]
        return dict(zip(self.scores, np.mean(rows, axis=0).tolist(), strict=True))


def _looked_at(clip: Clip, needs: Frames) -> list[NDArray[np.uint8]]:
    """An image, or up to three frames of a clip."""
    from curation.text import overlays

    if clip.kind == "image":
        return list(clip.frames(IMAGE))
    frames, at = clip.frames(needs), overlays.looks(clip.times(needs))
    step = -(-len(at) // MOST_FRAMES)
    return [frames[index] for index in at[step // 2 :: step]]


def _measures(frame: NDArray[np.uint8], shortest: int) -> tuple[float, int, int]:
    """Share of the pixels of [H,W] inside any text box (boxes may overlap), boxes, characters."""
    import cv2
    import numpy as np

    from curation.text import ocr

    boxes = list(ocr.boxes(frame, shortest))
    wanted = sorted(boxes, key=lambda box: -box.area)[:MOST_READ]
    lines = dict(zip(wanted, ocr.read(frame, wanted, shortest), strict=True))
    readable = [box for box, line in lines.items() if line.confidence >= CONFIDENT and line.characters >= 2]
    counted = boxes if len(boxes) >= MANY_BOXES else readable
    mask = np.zeros(frame.shape, np.uint8)
    for box in counted:
        cv2.fillPoly(mask, [np.array(box.corners).astype(np.int32)], 1)
    return float(mask.mean()), len(counted), sum(lines[box].characters for box in readable)
