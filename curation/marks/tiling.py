"""Marks that repeat over a whole picture: peaks of the autocorrelation, away from its centre.

What repeats on a lattice gives sharp peaks of the same height, in all parts of the picture alike; windows
and bricks give them in a part of it, waves and grass give broad ones.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
LONG_SIDE = 640  # pixels
DETAIL = 3.0  # sigma: what is finer is detail
REACH = 31  # pixels over which its contrast is evened out
FLOOR = 4.0  # grey levels; noise is not raised to a pattern
NEAREST, FARTHEST = 0.09, 0.6  # of the side: distances that a pattern may repeat at
PEAKS = 4  # a lattice has that many of nearly the same height
PARTS = 4  # the picture is checked in 4x4 parts


def score(grey: NDArray[np.uint8]) -> float:
    """Deviations by which the fourth highest peak of [H,W] stands out, times the parts' agreement (0-1)."""
    scale = LONG_SIDE / max(grey.shape)
    small = cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) if scale < 1 else grey
    if min(small.shape) < 64:
        return 0.0
    even = _evened(small)
    peaks = _peaks(_autocorrelation(even), min(small.shape))
    return peaks[-1][0] * _agreement(even, *peaks[0][1:]) if peaks else 0.0


def _evened(grey: NDArray[np.uint8]) -> Floats:
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


def _peaks(correlation: Floats, side: int) -> list[tuple[float, int, int]]:
    """The highest peaks, (deviations above their surroundings, pixels across, pixels down)."""
    height, width = correlation.shape
    down, across = np.mgrid[:height, :width] - np.array([0, width // 2])[:, None, None]
    apart = np.hypot(across, down) > NEAREST * side
    sharp = correlation - cv2.GaussianBlur(correlation, (0, 0), 5)
    spread = 1.4826 * float(np.median(np.abs(sharp[apart] - np.median(sharp[apart])))) + 1e-9
    sharp = np.where(apart, sharp / spread, -np.inf)
    sharp[0, : width // 2] = -np.inf  # the mirror image of the other half
    found = []
    for _ in range(PEAKS):
        y, x = np.unravel_index(int(sharp.argmax()), sharp.shape)
        found.append((float(sharp[y, x]), int(x) - width // 2, int(y)))
        sharp[max(0, y - 6) : y + 7, max(0, x - 6) : x + 7] = -np.inf
    return found if np.isfinite(found[-1][0]) else []


def _agreement(even: Floats, across: int, down: int) -> float:
    """The median over the mean, at most 1, of the parts' correlation with themselves shifted so far."""
    height, width = even.shape
    one = even[down:, max(0, across) : width + min(0, across)]
    other = even[: height - down, max(0, -across) : width - max(0, across)]
    product = one * other
    parts = [
        float(part.mean())
        for row in np.array_split(product, PARTS, axis=0)
        for part in np.array_split(row, PARTS, axis=1)
    ]
    mean = float(np.mean(parts))
    return float(np.clip(np.median(parts) / mean, 0, 1)) if mean > 0 else 0.0
