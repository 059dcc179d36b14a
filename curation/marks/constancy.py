"""Marks that stand still on a video: gradients that agree over frames, in a corner of a changing picture.

A mark, opaque or not, adds the same gradient to each frame, so the mean of its gradients is as long as the
mean of their lengths; what moves cancels out (Dekel et al., "On the Effectiveness of Visible Watermarks",
CVPR 2017, find the watermark of a collection as the median gradient of its images). Before a still camera
all agree. So a candidate is one patch of agreeing gradients in a corner, cut out at several strengths, and
what counts is how it differs from its own surroundings: a linear model of the candidate's measures, fitted
to planted logos and to the candidates of clean clips.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from curation.marks import candidate
from curation.marks.candidate import Term

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]

MOST_FRAMES = 16
LEAST_FRAMES = 4
AGREE = 0.78  # length of the mean gradient over the mean length, from which a pixel is constant
LEVELS = (5.0, 9.0, 15.0, 24.0, 38.0)  # grey levels a pixel: the strengths at which candidates are cut out
JOINS = (0.025, 0.045)  # of the shorter side: gaps that are closed
ZONE_WIDTH, ZONE_HEIGHT = 0.5, 0.42  # of the frame: a corner
WIDEST, HIGHEST, SMALLEST = 0.45, 0.35, 0.035  # of the frame's width, height, shorter side
BAR = 0.5  # rows and columns with more constant pixels are edges of bars
MODEL = {
    "pixels": Term(-0.415, 0.751, 0.27),
    "filled": Term(0.211, 0.172, 0.04),
    "agreement": Term(0.906, 0.050, 1.89),
    "surroundings_move": Term(0.467, 0.393, 0.52),
    "surroundings_change": Term(1.893, 1.092, 1.10),
    "surroundings_constant": Term(0.106, 0.083, -0.84),
    "stays": Term(2.424, 1.268, -2.39),
    "still_scene": Term(0.474, 0.326, -1.15),
    "stands_out": Term(0.562, 0.709, 0.64),
    "compact": Term(0.623, 0.179, 0.87),
    "margin": Term(0.017, 0.014, 1.59),
    "in_corner": Term(0.256, 0.182, -4.13),
}
BIAS = -5.68


@dataclass(frozen=True)
class Maps:
    """What each pixel of a clip does over time, all [H,W]."""

    frames: int  # that were looked at
    steady: Floats  # length of the mean gradient, grey levels a pixel
    agreement: Floats  # 0 to 1
    change: Floats  # standard deviation of the grey level
    still: float  # share of the edges that agree: how little the scene moves


def score(maps: Maps) -> float:
    """How surely a clip bears a mark in a corner: 0 to 1; 0 if it has too few frames."""
    if maps.frames < LEAST_FRAMES:
        return 0.0
    found = [candidate.odds(one, MODEL, BIAS) for one in described(maps)]
    return float(1 / (1 + np.exp(-max(found)))) if found else 0.0


def described(maps: Maps) -> Iterator[dict[str, float]]:
    """The measures of all candidates."""
    for place, constant in candidates(maps):
        found = candidate.measures(maps.steady, maps.agreement, maps.change, maps.still, place, constant)
        if found:
            yield found


def measure(frames: Bytes) -> Maps:
    """The maps of up to 16 of [T,H,W] grey frames, spread over the clip."""
    chosen = frames[_spread(len(frames))]
    count = len(chosen)
    shape = frames.shape[1:]
    across, down, length, sums, squares = np.zeros((5, *shape), np.float32)
    for frame in chosen:
        dx = cv2.Sobel(frame, cv2.CV_32F, 1, 0, scale=1 / 8)
        dy = cv2.Sobel(frame, cv2.CV_32F, 0, 1, scale=1 / 8)
        across += dx
        down += dy
        length += cv2.magnitude(dx, dy)
        cv2.accumulate(frame, sums)
        cv2.accumulateSquare(frame, squares)
    steady, length = cv2.magnitude(across, down) / count, length / count
    agreement = steady / (length + 1)
    variance = np.maximum(squares / count - (sums / count) ** 2, 0)
    change = np.sqrt(variance)
    edge = length > LEVELS[0]
    still = float(((agreement > AGREE) & (steady > LEVELS[0])).sum() / max(1, edge.sum()))
    return Maps(count, steady, agreement, change, still)


def _spread(count: int) -> NDArray[np.int64]:
    """The indices of up to 16 frames of so many."""
    return np.linspace(0, count - 1, min(count, MOST_FRAMES)).round().astype(np.int64)


def candidates(maps: Maps) -> Iterator[tuple[tuple[slice, slice], Mask]]:
    """Each patch of constant gradients in a corner: its place, and which of its pixels are constant."""
    height, width = maps.steady.shape
    constant = maps.agreement > AGREE
    visible = constant & (maps.steady > LEVELS[0])
    constant[visible.mean(axis=1) > BAR, :] = False
    constant[:, visible.mean(axis=0) > BAR] = False
    high, wide = int(ZONE_HEIGHT * height), int(ZONE_WIDTH * width)
    for rows in (slice(0, high), slice(height - high, height)):
        for columns in (slice(0, wide), slice(width - wide, width)):
            seen: set[tuple[int, ...]] = set()
            for level in LEVELS:
                mask = constant[rows, columns] & (maps.steady[rows, columns] > level)
                for inner in _patches(mask, (height, width)):
                    key = tuple(edge // 3 for side in inner for edge in (side.start, side.stop))
                    if key not in seen:
                        seen.add(key)
                        yield (_moved(inner[0], rows), _moved(inner[1], columns)), mask[inner]


def _moved(inner: slice, outer: slice) -> slice:
    return slice(outer.start + inner.start, outer.start + inner.stop)


def _patches(mask: Mask, size: tuple[int, int]) -> Iterator[tuple[slice, slice]]:
    """Rectangles around connected pixels of a corner, of a mark's size, that do not run out of the corner.

    Nor out of the picture: what its border cuts is a part of the scene.
    """
    side = min(size)
    for join in JOINS:
        reach = max(3, round(side * join)) | 1
        joined = cv2.dilate(mask.astype(np.uint8), np.ones((reach, reach), np.uint8))
        _, labels, boxes, _ = cv2.connectedComponentsWithStats(joined)
        for index, (x, y, wide, high, _) in enumerate(boxes[1:], 1):
            if wide > WIDEST * size[1] or high > HIGHEST * size[0] or min(wide, high) < SMALLEST * side / 2:
                continue
            inside = mask[y : y + high, x : x + wide] & (labels[y : y + high, x : x + wide] == index)
            rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
            if inside.sum() < 0.2 * side:
                continue
            top, bottom, left, edge = y + rows[0], y + rows[-1] + 1, x + columns[0], x + columns[-1] + 1
            if min(top, left) > 1 and bottom < mask.shape[0] - 1 and edge < mask.shape[1] - 1:
                yield slice(int(top), int(bottom)), slice(int(left), int(edge))
