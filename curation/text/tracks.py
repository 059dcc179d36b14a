"""Where a text box is over time, and whether it hangs on the screen or in the scene.

A box found in one frame is looked for in all others by normalised cross-correlation, which costs next to
nothing beside finding it anew: at its own place (within a pixel, for the encoder's sake), and along its row
and its column, where tickers and credits run. Its surroundings are looked for in the same way: writing that
stays while they go is laid over the scene; writing that goes where they go is part of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from curation.text.ocr import Box

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float32]
Bounds = tuple[int, int, int, int]  # left, top, right, bottom
SAME = 0.6  # correlation from which a patch is taken for the same
TEXTURE = 5.0  # grey levels; a patch with a smaller deviation shows no motion
STILL = 4.0  # grey levels; a patch that differs by less, without its noise, has stayed
SLACK = 2  # pixels that a patch of the surroundings may be off
OFF = 0.03  # correlation that the encoder may move a patch's best place for


@dataclass(frozen=True)
class Track:
    """One box of one frame, and what the other frames show at its place."""

    box: Box
    at: int  # the frame that it was found in
    shown: NDArray[np.bool_]  # [T]: the same writing stands at the same place
    run: NDArray[np.bool_]  # [T]: of these, the ones without a break around `at`
    moved: float  # share of its surroundings, 0 to 1, that went elsewhere while it stayed; nan: no texture
    kept: float  # share of its surroundings that was still there when it was gone; nan: it never went
    across: float  # frame widths a second, where it runs along its row; 0: it does not
    down: float  # frame heights a second, where it runs along its column; 0: it does not
    carried: bool  # its surroundings run with it


def follow(frames: Bytes, times: NDArray[np.float64], box: Box, at: int, others: Sequence[Box] = ()) -> Track:
    """The track of a box of frame `at` of [T,H,W] grey; other boxes are no part of its surroundings."""
    near, here = match(frames, box.bounds, at)
    found = np.where(here >= near - OFF, near, np.minimum(near, SAME - 0.01))
    run = _around(found >= SAME, at)
    taken = [other.bounds for other in others]
    around = _free(_surroundings(box.bounds, frames.shape), taken)
    sides = _textured(frames[at], around)
    moved = _moved(frames, sides, at, run)
    kept = _kept(frames, box.bounds, around, at, near < SAME - 0.05)
    across, down = (0.0, 0.0) if run.sum() > 2 else _speed(frames, times, box.bounds, at)
    carried = False
    if across or down:
        everywhere = _textured(frames[at], _free(_grid(frames.shape), [*taken, box.bounds]))
        carried = _carried(frames, times, [*sides, *everywhere], at, across, down)
    return Track(box, at, found >= SAME, run, moved, kept, across, down, carried)


def match(frames: Bytes, bounds: Bounds, at: int) -> tuple[Floats, Floats]:
    """Correlation of a patch of frame `at` with each frame: [T] best up to SLACK pixels off, [T] in place."""
    left, top, right, bottom = bounds
    patch = frames[at, top:bottom, left:right]
    height, width = frames.shape[1:]
    y, x = max(0, top - SLACK), max(0, left - SLACK)
    areas = frames[:, y : min(height, bottom + SLACK), x : min(width, right + SLACK)]
    maps = np.array([_correlations(area, patch) for area in areas])
    return maps.max(axis=(1, 2)), maps[:, top - y, left - x]


def _moved(frames: Bytes, sides: list[Bounds], at: int, shown: NDArray[np.bool_]) -> float:
    """The share of the surroundings that left while the box stayed; nan if none has texture."""
    if not sides:
        return float("nan")
    if shown.sum() < 2:
        return 0.0
    there = np.array([match(frames[shown], side, int(shown[:at].sum()))[0] for side in sides])
    return float(np.mean(np.quantile(there, 0.35, axis=1) < SAME - 0.1))


def _kept(frames: Bytes, bounds: Bounds, sides: list[Bounds], at: int, gone: NDArray[np.bool_]) -> float:
    """The share of the surroundings, flat ones too, that stayed when the box had gone; nan if it never went.

    0 if the box only went elsewhere, as writing on a plain wall does when the camera turns.
    """
    if gone.sum() < 2 or not sides:
        return float("nan")
    left, top, right, bottom = bounds
    indices = np.flatnonzero(gone)
    nearest = frames[indices[np.abs(indices - at).argmin()]]
    if _best(nearest, frames[at, top:bottom, left:right])[0] >= SAME:
        return 0.0
    stayed = []
    for a, b, c, d in sides:
        before = cv2.blur(frames[at, b:d, a:c], (5, 5))
        apart = [cv2.absdiff(cv2.blur(frames[i, b:d, a:c], (5, 5)), before).mean() for i in indices]
        stayed.append(float(np.median(apart)) < STILL)
    return float(np.mean(stayed))


def _surroundings(bounds: Bounds, shape: tuple[int, ...]) -> list[Bounds]:
    """Patches above, below and beside a box, as far as they are in the frame."""
    left, top, right, bottom = bounds
    _, height, width = shape
    high = max(12, round(1.2 * (bottom - top)))
    wide = max(24, 2 * high)
    thirds = np.linspace(left, right, max(2, round((right - left) / (2 * wide))) + 1).astype(int)
    areas = [(a, y, b, y + high) for a, b in pairwise(thirds.tolist()) for y in (top - high - 3, bottom + 3)]
    areas += [(left - wide - 3, top, left - 3, bottom), (right + 3, top, right + 3 + wide, bottom)]
    clipped = [(max(0, a), max(0, b), min(width, c), min(height, d)) for a, b, c, d in areas]
    return [(a, b, c, d) for a, b, c, d in clipped if c - a >= 10 and d - b >= 8]


def _grid(shape: tuple[int, ...]) -> list[Bounds]:
    """Patches all over a frame."""
    _, height, width = shape
    high, wide = height // 9, width // 9
    return [
        (x, y, x + wide, y + high)
        for y in range(high, 8 * high, 2 * high)
        for x in range(wide, 8 * wide, 2 * wide)
    ]


def _free(areas: list[Bounds], taken: list[Bounds]) -> list[Bounds]:
    """The patches that none of the boxes lies in."""
    return [
        (a, b, c, d)
        for a, b, c, d in areas
        if not any(a < right and c > left and b < bottom and d > top for left, top, right, bottom in taken)
    ]


def _textured(frame: Bytes, areas: list[Bounds]) -> list[Bounds]:
    """The patches that have enough texture to be found again."""
    return [(a, b, c, d) for a, b, c, d in areas if frame[b:d, a:c].std() >= TEXTURE]


def _around(there: NDArray[np.bool_], at: int) -> NDArray[np.bool_]:
    """Only the run of True that `at` is in, one gap allowed."""
    run = np.zeros_like(there)
    for step in (1, -1):
        misses, index = 0, at
        while 0 <= index < len(there) and misses < 2:
            misses = 0 if there[index] or index == at else misses + 1
            run[index] = there[index] or index == at
            index += step
    return run


def _speed(frames: Bytes, times: NDArray[np.float64], bounds: Bounds, at: int) -> tuple[float, float]:
    """Frame widths and heights a second of a patch that runs along its row or column, else 0."""
    left, top, right, bottom = bounds
    height, width = frames.shape[1:]
    middle, half = (left + right) // 2, min(70, (right - left) // 2)
    patch = frames[at, top:bottom, max(0, middle - half) : middle + half]
    x0 = max(0, middle - half)
    across = _steady(frames[:, max(0, top - 1) : bottom + 1], times, patch, at, x0, 0)
    down = _steady(
        frames[:, :, max(0, left - 1) : right + 1], times, frames[at, top:bottom, left:right], at, top, 1
    )
    return across / width, down / height


def _carried(
    frames: Bytes, times: NDArray[np.float64], sides: list[Bounds], at: int, across: float, down: float
) -> bool:
    """Whether most of the surroundings are found where they would be if they ran at the same speed."""
    _, height, width = frames.shape
    index = at + 1 if at + 1 < len(frames) else at - 1
    passed = times[index] - times[at]
    dx, dy = round(across * width * passed), round(down * height * passed)
    votes = []
    for left, top, right, bottom in sides:
        patch = frames[at, top:bottom, left:right]
        rows = slice(max(0, top + dy - 4), max(0, bottom + dy + 4))
        area = frames[index, rows, max(0, left + dx - 4) : max(0, right + dx + 4)]
        if area.shape[0] >= patch.shape[0] and area.shape[1] >= patch.shape[1]:
            stayed = match(frames[[at, index]], (left, top, right, bottom), 0)[0][1]
            there = _best(area, patch)[0]
            votes.append(there >= SAME and there > stayed + OFF)
    return bool(votes) and float(np.mean(votes)) >= 0.4


def _steady(areas: Bytes, times: NDArray[np.float64], patch: Bytes, at: int, start: int, axis: int) -> float:
    """Pixels a second along an axis if the neighbouring frames agree on it, else 0."""
    speeds = []
    for index in (at - 2, at - 1, at + 1, at + 2):
        if 0 <= index < len(areas):
            score, place = _best(areas[index], patch)
            if score >= SAME:
                speeds.append((place[axis] - start) / (times[index] - times[at]))
    if len(speeds) < 2 or abs(np.median(speeds)) < 8:
        return 0.0
    middle = float(np.median(speeds))
    agree = sum(abs(speed - middle) <= max(6.0, 0.08 * abs(middle)) for speed in speeds)
    return middle if agree >= 2 else 0.0


def _best(area: Bytes, patch: Bytes) -> tuple[float, tuple[int, int]]:
    """The highest correlation of a patch in an area, and (x, y) of where."""
    if patch.shape[0] > area.shape[0] or patch.shape[1] > area.shape[1]:
        return 0.0, (0, 0)
    _, best, _, place = cv2.minMaxLoc(_correlations(area, patch))
    return float(best), (int(place[0]), int(place[1]))


def _correlations(area: Bytes, patch: Bytes) -> Floats:
    """Of a patch with each place of an area that is no smaller; 0 where nothing can be told."""
    down, across = (whole - part + 1 for whole, part in zip(area.shape, patch.shape, strict=True))
    if patch.size < 16:
        return np.zeros((down, across), np.float32)
    scores = cv2.matchTemplate(area, patch, cv2.TM_CCOEFF_NORMED)
    finite: Floats = np.nan_to_num(scores, copy=False, nan=0.0, posinf=0.0, neginf=0.0)
    return finite
