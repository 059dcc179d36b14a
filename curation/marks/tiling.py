"""Marks that repeat over a whole picture: a lattice of peaks in the autocorrelation, away from its centre.

What repeats on a lattice gives peaks at all sums of two steps, and in all parts of the picture alike. So two
peaks make a lattice, and it is believed by the others that it foretells: windows and bricks have theirs in a
part of the picture, waves and grass have broad ones, and of chance there is one or two. Of a video the
detail of its frames is taken together.
"""

from __future__ import annotations

from itertools import combinations

import cv2
import numpy as np
from numpy.typing import NDArray

from curation.media.held import fit

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float32]
Steps = NDArray[np.int64]  # [N,2]: pixels across and down
LONG_SIDE = 640  # pixels
MOST_FRAMES = 8
DETAIL = 1.5  # sigma: what is finer is detail
REACH = 31  # pixels over which its contrast is evened out
FLOOR = 2.0  # grey levels; noise is not raised to a pattern
NEAREST, FARTHEST = 0.09, 0.6  # of the side: distances that a pattern may repeat at
PEAKS = 10  # of the autocorrelation that may be a lattice's steps
APART = 0.3  # sine of the angle between two steps, at least
FURTHEST = 4  # times that a step is repeated
CHANCE = 2.0  # deviations that the highest of 5x5 points of noise has
HIGHEST = 10.0  # deviations; one point of many must not speak for all
PARTS = 4  # the picture is checked in 4x4 parts


def score(frames: Bytes) -> float:
    """How surely [T,H,W] grey frames of one scene bear a lattice: deviations of the points that two of its
    peaks foretell above chance, times the square root of their number, times the parts' agreement (0-1).
    """
    size = fit(frames.shape[2], frames.shape[1], LONG_SIDE)
    if min(size) < 64:
        return 0.0
    chosen = frames[np.linspace(0, len(frames) - 1, min(len(frames), MOST_FRAMES)).round().astype(int)]
    small = (cv2.resize(frame, size, interpolation=cv2.INTER_AREA) for frame in chosen)
    even = np.mean([_evened(frame) for frame in small], axis=0)  # what moves cancels out
    found, steps = _lattice(_deviations(_autocorrelation(even), min(even.shape)))
    return found * _agreement(even, steps) if found > 0 else 0.0


def _evened(grey: Bytes) -> Floats:
    """Detail of the same contrast everywhere."""
    plain = grey.astype(np.float32)
    detail = plain - cv2.GaussianBlur(plain, (0, 0), DETAIL)
    contrast = np.sqrt(np.maximum(cv2.blur(detail * detail, (REACH, REACH)), 0)) + FLOOR
    even: Floats = np.clip(detail / contrast, -2.5, 2.5)
    return even


def _autocorrelation(even: Floats) -> Floats:
    """[h,w] correlation with itself, shifted down by 0 to h-1 and across by -w//2 to w//2."""
    height, width = even.shape
    below, beside = cv2.getOptimalDFTSize(2 * height) - height, cv2.getOptimalDFTSize(2 * width) - width
    spectrum = cv2.dft(cv2.copyMakeBorder(even, 0, below, 0, beside, cv2.BORDER_CONSTANT))
    power = cv2.idft(cv2.mulSpectrums(spectrum, spectrum, 0, conjB=True), flags=cv2.DFT_SCALE)
    down, across = int(FARTHEST * height), int(FARTHEST * width)
    both = np.concatenate([power[:down, -across:], power[:down, : across + 1]], axis=1)
    shared = np.outer(height - np.arange(down), width - np.abs(np.arange(-across, across + 1)))
    correlation = both / shared / max(1e-9, float((even * even).mean()))
    smooth: Floats = cv2.GaussianBlur(correlation.astype(np.float32), (0, 0), 0.8)
    return smooth


def _deviations(correlation: Floats, side: int) -> Floats:
    """By how many deviations each point stands above its surroundings; minus infinity near the centre, and
    where the mirror image of another point is.
    """
    height, width = correlation.shape
    down, across = np.mgrid[:height, :width] - np.array([0, width // 2])[:, None, None]
    apart = np.hypot(across, down) > NEAREST * side
    apart[0, : width // 2] = False
    sharp = correlation - cv2.GaussianBlur(correlation, (0, 0), 5)
    spread = 1.4826 * float(np.median(np.abs(sharp[apart] - np.median(sharp[apart])))) + 1e-9
    return np.where(apart, sharp / spread, -np.inf)


def _lattice(deviations: Floats) -> tuple[float, Steps]:
    """The best lattice: how far the points that its two steps foretell are above chance, and all its points;
    0 if there is none.
    """
    times = np.mgrid[-FURTHEST : FURTHEST + 1, -FURTHEST : FURTHEST + 1].reshape(2, -1).T
    foretold = np.abs(times).sum(axis=1) > 1
    highest = np.where(np.isfinite(deviations), cv2.dilate(deviations, np.ones((5, 5), np.uint8)), -np.inf)
    best, points = 0.0, np.zeros((0, 2), np.int64)
    for one, other in combinations(_peaks(deviations), 2):
        area = abs(one[0] * other[1] - one[1] * other[0])
        if area < APART * np.hypot(*one) * np.hypot(*other):
            continue
        steps = times @ np.array([one, other])
        found = _at(highest, steps)
        there = np.isfinite(found)
        checks = found[there & foretold]
        if len(checks) < 2:
            continue
        above = float(np.clip(checks - CHANCE, -CHANCE, HIGHEST - CHANCE).mean()) * len(checks) ** 0.5
        if above > best:
            best, points = above, steps[there]
    return best, points


def _peaks(deviations: Floats) -> list[tuple[int, int]]:
    """The highest points, each away from those before: pixels across and down."""
    left, found = deviations.copy(), []
    for _ in range(PEAKS):
        y, x = (int(place) for place in np.unravel_index(int(left.argmax()), left.shape))
        if np.isfinite(left[y, x]):
            found.append((x - left.shape[1] // 2, y))
        left[max(0, y - 6) : y + 7, max(0, x - 6) : x + 7] = -np.inf
    return found


def _at(deviations: Floats, steps: Steps) -> Floats:
    """The map's values so far from its centre; minus infinity outside."""
    height, width = deviations.shape
    x, y = steps[:, 0] + width // 2, steps[:, 1]
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    found = np.full(len(steps), -np.inf, deviations.dtype)
    found[inside] = deviations[y[inside], x[inside]]
    return found


def _agreement(even: Floats, steps: Steps) -> float:
    """The median over the mean, at most 1, of the parts' correlation with themselves shifted so far."""
    height, width = even.shape
    parts = np.zeros(PARTS * PARTS)
    for across, down in steps:
        one = even[down:, max(0, across) : width + min(0, across)]
        other = even[: height - down, max(0, -across) : width - max(0, across)]
        small = cv2.resize(one * other, (PARTS, PARTS), interpolation=cv2.INTER_AREA)  # means of parts
        parts += small.ravel()
    mean = float(parts.mean())
    return float(np.clip(np.median(parts) / mean, 0, 1)) if mean > 0 else 0.0
