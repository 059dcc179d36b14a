"""How sure a patch of constant gradients is a mark: its measures, and a linear model of them.

The model is a logistic regression with class weights, fitted to 12 measures of planted logos and names
(opaque and half transparent, over real clips and over photographs under a moving camera) and of the
candidates that clean clips give. Which clips went in, and what it finds, is in LOG.md.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

MOVES = 6.0  # grey levels of deviation over time
RING = 0.045  # of the shorter side: how far the surroundings reach


class Term(NamedTuple):
    """A measure's mean and deviation where the model was fitted, and its weight."""

    mean: float
    deviation: float
    weight: float


def measures(
    steady: NDArray[np.float32],
    agreement: NDArray[np.float32],
    change: NDArray[np.float32],
    still: float,
    place: tuple[slice, slice],
    constant: NDArray[np.bool_],
) -> dict[str, float] | None:
    """The measures of the patch at `place` of maps [H,W]; None where it has no surroundings."""
    height, width = steady.shape
    side = min(height, width)
    (top, bottom), (left, right) = ((edge.start, edge.stop) for edge in place)
    around, ring = _ring(place, (height, width))
    if ring.sum() < 20:
        return None
    outside, outer = change[around][ring], steady[around][ring]
    strength = float(steady[place][constant].mean())
    beside = float(np.quantile(outer, 0.95))
    points = np.argwhere(constant).astype(np.int32)
    return {
        "pixels": float(np.log(constant.sum() / side + 0.05)),
        "filled": float(constant.mean()),
        "agreement": min(float(agreement[place][constant].mean()), 0.98),
        "surroundings_move": float((outside > MOVES).mean()),
        "surroundings_change": float(np.log1p(min(float(np.median(outside)), 30.0))),
        "surroundings_constant": min(float(((agreement[around][ring] > 0.78) & (outer > 5)).mean()), 0.2),
        "stays": float(np.log1p(np.median(change[place][constant]))),
        "still_scene": still,
        "stands_out": float(np.log((strength + 1) / (beside + 1))),
        "compact": float(cv2.contourArea(cv2.convexHull(points)) / constant.size),
        "margin": min(left, width - right, top, height - bottom, 0.03 * side) / side,
        "in_corner": min(left, width - right) / width + min(top, height - bottom) / height,
    }


def odds(found: dict[str, float], model: dict[str, Term], bias: float) -> float:
    """The logarithm of the odds that it is a mark."""
    return bias + sum(
        term.weight * (found[name] - term.mean) / term.deviation for name, term in model.items()
    )


def _ring(place: tuple[slice, slice], size: tuple[int, int]) -> tuple[tuple[slice, slice], NDArray[np.bool_]]:
    """The rectangle around a patch, and which of its pixels are outside of the patch by two or more."""
    reach = max(5, round(min(size) * RING))
    rows, columns = (
        slice(max(0, edge.start - reach), min(full, edge.stop + reach))
        for edge, full in zip(place, size, strict=True)
    )
    ring = np.ones((rows.stop - rows.start, columns.stop - columns.start), bool)
    top, left = place[0].start - rows.start, place[1].start - columns.start
    bottom, right = place[0].stop - rows.start, place[1].stop - columns.start
    ring[max(0, top - 2) : bottom + 2, max(0, left - 2) : right + 2] = False
    return (rows, columns), ring
