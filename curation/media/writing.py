"""The writing that can be read in a picture; runs inside the child process only."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from curation.text import ocr

CONFIDENT = 0.5  # of the recogniser, RapidOCR's own default


def read(pixels: NDArray[np.uint8]) -> list[str]:
    """Lines of text in [H,W,3] RGB, from top to bottom. Raises InputError without the `ocr` extra."""
    found = ocr.read(pixels, ocr.boxes(pixels))
    return [line.text for line in found if line.confidence >= CONFIDENT and line.text]
