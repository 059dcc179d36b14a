"""Rejects clips with much text: title cards, slides, pages, writing.

Source: PP-OCRv4's detector and recogniser (PaddleOCR; DB, Liao et al., AAAI 2020) through
rapidocr-onnxruntime, whose wheel carries the weights. cosmos-curate and Data-Juicer stop at the detector's
boxes; on real photographs it also boxes cups, clocks and horses. Here a box counts if the recogniser reads
two characters in it, or if the frame has four boxes or more (writing that it cannot read): on
scikit-image's pictures that leaves text.png and page.png.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from curation.errors import InputError
from curation.filters import Clip, Cost, Filter, Frames

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SHORT_SIDE = 640  # pixels; smaller frames are enlarged for the detector, or it misses small writing
CONFIDENT = 0.5  # of the recogniser, RapidOCR's own default
MANY_BOXES = 4


class TextOverlay(Filter):
    """Bounds on the share of the frame that text covers, the mean of two frames."""

    cost: ClassVar = Cost.MODEL
    needs: ClassVar = (Frames(count=2, long_side=960, color="rgb"),)
    scores: ClassVar = ("text_area", "text_boxes")
    thresholds: ClassVar = {"max_text_area": ("text_area", "max"), "max_text_boxes": ("text_boxes", "max")}
    reasons: ClassVar = {"max_text_area": "too_much_text", "max_text_boxes": "too_much_text"}

    max_text_area: float | None = Field(default=0.1, ge=0, le=1, description="share of the frame under text")
    max_text_boxes: float | None = Field(default=None, ge=0, description="mean number of text boxes a frame")

    def revision(self) -> str | None:
        """The version of the package that carries the weights. Raises InputError without it."""
        from importlib.metadata import PackageNotFoundError, version

        try:
            return f"PP-OCRv4, rapidocr-onnxruntime {version('rapidocr-onnxruntime')}"
        except PackageNotFoundError as error:
            raise _absent() from error

    def measure(self, clip: Clip) -> dict[str, float]:
        """`text_area` from 0 to 1 and the number of boxes, both averaged over the frames."""
        import numpy as np

        found = [_area_and_count(frame) for frame in clip.frames(self.needs[0])]
        area, count = np.mean(found, axis=0)
        return {"text_area": float(area), "text_boxes": float(count)}


def _area_and_count(frame: NDArray[np.uint8]) -> tuple[float, int]:
    """Share of the pixels of [H,W,3] inside any text box (boxes may overlap), and how many boxes."""
    import cv2
    import numpy as np

    found, _ = _reader()(np.ascontiguousarray(frame[..., ::-1]), use_det=True, use_cls=False, use_rec=True)
    boxes = found or []
    if len(boxes) < MANY_BOXES:
        boxes = [box for box in boxes if box[2] >= CONFIDENT and len(box[1].strip()) >= 2]
    mask = np.zeros(frame.shape[:2], np.uint8)
    for corners, _, _ in boxes:
        cv2.fillPoly(mask, [np.array(corners).astype(np.int32)], 1)
    return float(mask.mean()), len(boxes)


def _absent() -> InputError:
    return InputError(
        "text_overlay needs rapidocr-onnxruntime",
        "filters",
        "pip install 'omnivideo[ocr]', or leave the filter out of the recipe",
    )


@cache
def _reader() -> Any:
    """Detector and recogniser, loaded once a process, on one thread."""
    try:
        from rapidocr_onnxruntime import RapidOCR
    except ImportError as error:
        raise _absent() from error
    return RapidOCR(
        det_limit_side_len=SHORT_SIDE,
        det_limit_type="min",
        text_score=0.0,
        intra_op_num_threads=1,
        inter_op_num_threads=1,
    )
