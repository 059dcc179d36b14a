"""What is in a picture of the world of shapes, by colour and contour alone: nothing here was trained.

The frame's edge says what the background is. What differs from it is parted by colour, and each part's
silhouette compared with those of the kinds at its own place and area.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from omnivideo.evaluation.protocol import Box, Detection
from omnivideo.shapes.palette import BACKGROUNDS, COLORS, KINDS, RADIUS, Kind
from omnivideo.shapes.render import Pixels, stencil

Floats = NDArray[np.float32]
SIDE = 128  # pixels at which everything is looked at
EDGE = 4  # pixels of the frame that show the background
LEAST_DISTANCE = 22.0  # in CIE Lab, of a thing to the background
LEAST_AREA = 0.008  # of the frame; the smallest thing that there is has 0.02
LEAST_CORE = 0.003
LEAST_OVERLAP = 0.78  # of a silhouette with its kind's, intersection over union
MOST_OFF_COLOR = 45.0  # in CIE Lab, of a thing to its colour
UNKNOWN = "unknown"
# Of Y, Cr and Cb, for contours: codecs keep colour at half the resolution of brightness, or worse.
TRUST = np.array([1.0, 0.01, 0.01], np.float32)


class Seen(NamedTuple):
    """A frame, understood. Boxes are in the frame's own pixels."""

    background: str
    detections: list[Detection]


def detect(frame: Pixels) -> Seen:
    """Find all things in a frame, uint8 [H, W, 3]. What has no kind's silhouette is of class "unknown".

    `extra` of a detection has `size` (small or large), `x` and `y` (its centre as shares of the frame).
    """
    import cv2

    square = cv2.resize(frame, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
    lab = _lab(cv2.medianBlur(square, 5))
    background = np.median(lab[_edge()], axis=0)
    square = cv2.cvtColor(square, cv2.COLOR_RGB2YCrCb)
    base = np.median(square[_edge()], axis=0).astype(np.float32)
    scale = (frame.shape[1] / SIDE, frame.shape[0] / SIDE)
    parts = _parts(lab, np.linalg.norm(lab - background, axis=-1) > LEAST_DISTANCE)
    found = (_described(square.astype(np.float32), base, part, scale) for part in parts)
    return Seen(_nearest(background, BACKGROUNDS), [one for one in found if one is not None])


class _Part(NamedTuple):
    color: str
    core: NDArray[np.bool_]  # surely of this thing
    around: NDArray[np.bool_]  # perhaps of it, and of no other


def _parts(lab: Floats, differs: NDArray[np.bool_]) -> Iterator[_Part]:
    """Each thing's pixels. Things that touch are parted where their colours differ."""
    import cv2

    opened = cv2.morphologyEx(differs.astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    seeds = list(_seeds(lab, opened))
    if not seeds:
        return
    # Each pixel belongs to the seed that is nearest to it.
    distances = np.stack(
        [cv2.distanceTransform(1 - seed.astype(np.uint8), cv2.DIST_L2, 5) for _, seed in seeds]
    )
    nearest, reach = distances.argmin(0), cv2.dilate(opened, np.ones((5, 5), np.uint8)) > 0
    for number, (color, seed) in enumerate(seeds):
        yield _Part(color, seed, (nearest == number) & reach & (distances[number] < SIDE * 0.12))


def _seeds(lab: Floats, opened: NDArray[np.uint8]) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    """Areas of one colour, away from edges, whose blends with the background are colours of their own."""
    import cv2

    inner = cv2.erode(opened, np.ones((3, 3), np.uint8), iterations=2)
    names = list(COLORS)
    distances = np.stack([np.linalg.norm(lab - _lab_of(COLORS[name]), axis=-1) for name in names])
    closest = np.where((inner > 0) & (distances.min(0) < MOST_OFF_COLOR), distances.argmin(0), -1)
    for number, name in enumerate(names):
        mask = cv2.morphologyEx(
            (closest == number).astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8)
        )
        count, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
        for one in range(1, count):
            if stats[one, cv2.CC_STAT_AREA] >= LEAST_CORE * SIDE**2:
                yield name, labels == one


def _described(square: Floats, base: Floats, part: _Part, scale: tuple[float, float]) -> Detection | None:
    import cv2

    along = np.median(square[part.core], axis=0) - base
    blend = (square - base) @ (TRUST * along) / max(float(along @ (TRUST * along)), 1.0)
    # Where half is the thing's colour its contour runs: blur rounds corners, but leaves sides where they are.
    silhouette = (part.around & (cv2.GaussianBlur(blend, (0, 0), 0.8) > 0.5)).astype(np.float32)
    area = float(silhouette.sum())
    if area < LEAST_AREA * SIDE**2:
        return None
    rows, columns = np.indices(silhouette.shape, dtype=np.float32) + 0.5
    center = float((columns * silhouette).sum() / area), float((rows * silhouette).sum() / area)
    kind, overlap = max(
        ((kind, _overlap(silhouette, kind, area, center)) for kind in KINDS), key=lambda two: two[1]
    )
    name = kind if overlap >= LEAST_OVERLAP else UNKNOWN
    radius = _radius(kind, area) / SIDE
    size = "small" if radius < sum(RADIUS.values()) / 2 else "large"
    extra = {"size": size, "x": center[0] / SIDE, "y": center[1] / SIDE, "overlap": overlap}
    return Detection(name, _box(silhouette > 0, scale), overlap, part.color, extra)


def _overlap(silhouette: Floats, kind: Kind, area: float, center: tuple[float, float]) -> float:
    """Intersection over union with a kind of the same area at the same place."""
    expected = stencil(kind, _radius(kind, area), center, (SIDE, SIDE)) > 0.5
    return float(np.minimum(silhouette, expected).sum() / np.maximum(silhouette, expected).sum())


def _radius(kind: Kind, area: float) -> float:
    return float(np.sqrt(area / _unit_area(kind)))


@cache
def _unit_area(kind: Kind) -> float:
    """Area of a kind of radius 1."""
    return float(stencil(kind, 60.0, (64.0, 64.0), (SIDE, SIDE)).sum()) / 60.0**2


def _box(mask: NDArray[np.bool_], scale: tuple[float, float]) -> Box:
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if not len(rows):
        return Box(0, 0, 0, 0)
    left, right, top, bottom = columns[0], columns[-1] + 1, rows[0], rows[-1] + 1
    return Box(left * scale[0], top * scale[1], right * scale[0], bottom * scale[1])


def _lab(pixels: Pixels) -> Floats:
    import cv2

    lab: Floats = cv2.cvtColor(pixels.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    return lab


@cache
def _lab_of(color: tuple[int, int, int]) -> Any:
    return _lab(np.array([[color]], np.uint8))[0, 0]


def _nearest(lab: Any, names: dict[str, tuple[int, int, int]]) -> str:
    distance = {name: float(np.linalg.norm(lab - _lab_of(color))) for name, color in names.items()}
    best = min(distance, key=distance.__getitem__)
    return best if distance[best] < MOST_OFF_COLOR else UNKNOWN


@cache
def _edge() -> NDArray[np.bool_]:
    edge = np.ones((SIDE, SIDE), bool)
    edge[EDGE:-EDGE, EDGE:-EDGE] = False
    return edge
