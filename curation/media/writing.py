"""The writing that can be read in a picture; runs inside the child process only.

PP-OCRv4 through rapidocr-onnxruntime, whose wheel carries the weights.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from curation.errors import InputError

SHORT_SIDE = 640  # pixels; smaller pictures are enlarged for the detector
CONFIDENT = 0.5  # of the recogniser, RapidOCR's own default


def read(pixels: NDArray[np.uint8]) -> list[str]:
    """Lines of text in [H,W,3] RGB, from top to bottom."""
    found, _ = _reader()(np.ascontiguousarray(pixels[..., ::-1]), use_det=True, use_cls=False, use_rec=True)
    return [text.strip() for _, text, score in found or [] if score >= CONFIDENT and text.strip()]


@cache
def _reader() -> Any:
    """Detector and recogniser, loaded once a process, on one thread."""
    try:
        from rapidocr_onnxruntime import RapidOCR
    except ImportError as error:
        raise InputError(
            "finding captions that copy text from the frames needs rapidocr-onnxruntime",
            "captioning",
            "pip install 'omnivideo[ocr]', or set caption.checks.read_text to false",
        ) from error
    return RapidOCR(
        det_limit_side_len=SHORT_SIDE,
        det_limit_type="min",
        text_score=0.0,
        intra_op_num_threads=1,
        inter_op_num_threads=1,
    )
