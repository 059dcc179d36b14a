"""Writing that stands while the picture moves, read in the mean of all frames.

What moves is a blur there, and what is laid over the picture is as sharp as ever, so even faint words read
well. Before a still camera the mean shows the scene's own writing, too: there nothing is looked for, and what
is found elsewhere counts only if the edges around it went.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from curation.marks.candidate import surroundings
from curation.marks.constancy import AGREE, Maps
from curation.media.held import fit
from curation.text import ocr, overlays
from curation.text.ocr import Box, Line

LONG_SIDE = 512  # pixels; the mean is smooth, so small writing is found in a smaller picture
MOST_STILL = 0.8  # share of the strong edges that stay, from which nothing is looked for
STAYED = 0.7  # share of the edges around a line that may have stayed
FEW = 0.02  # share of edges around a line, below which the whole picture's stillness is asked
MOVES = 0.3  # share of the picture's strong edges that stay, up to which the picture moves as a whole


def find(frames: NDArray[np.uint8], maps: Maps) -> list[tuple[Box, Line]]:
    """The legible lines of the mean of [T,H,W] grey frames that are no part of the scene, and where."""
    if not maps.enough or maps.still > MOST_STILL:
        return []
    mean = frames.mean(axis=0, dtype=np.float32)
    size = fit(mean.shape[1], mean.shape[0], LONG_SIDE)
    small = cv2.resize(mean, size, interpolation=cv2.INTER_AREA).round().astype(np.uint8)
    boxes = ocr.boxes(small, min(small.shape))
    lines = ocr.read(small, boxes, min(small.shape))
    found = [
        (_enlarged(box, max(mean.shape) / max(size)), line) for box, line in zip(boxes, lines, strict=True)
    ]
    return [(box, line) for box, line in found if overlays.legible(line) and _alone(box, maps)]


def _enlarged(box: Box, scale: float) -> Box:
    return Box(tuple((x * scale, y * scale) for x, y in box.corners))


def _alone(box: Box, maps: Maps) -> bool:
    """Whether the edges around a box went while it stayed; where there are hardly any, whether most did."""
    left, top, right, bottom = box.bounds
    place = slice(top, bottom), slice(left, right)
    near, around = surroundings(place, maps.edge.shape, max(8, bottom - top))
    edges = maps.edge[near] & around
    if edges.sum() <= FEW * around.sum():
        return maps.still < MOVES
    return float((maps.agreement[near][edges] > AGREE).mean()) < STAYED
