"""Writing laid over the picture, told from writing in the scene, in grey frames of a clip.

Three kinds of evidence, the first that holds decides:
- time: the box stays to the pixel while its surroundings go (a moving scene), or goes while they stay (a
  line that ends before a still scene);
- motion: it runs along its row or column at a constant speed that the scene does not share;
- rendering, of what stays where it is: upright, bright, full of contrast and no higher than a line of
  subtitles, and where overlays are: centred, or, all the time, in a corner.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from curation.text import ocr, tracks
from curation.text.ocr import Box, Line
from curation.text.tracks import Track

Bytes = NDArray[np.uint8]
Kind = Literal["overlay", "scroll", "scene"]
LOOK_SECONDS = 2.7  # one frame in so many is searched; lines of subtitles stay about as long
MOST_LOOKS = 8
LEAST_SECONDS = 0.7  # that an overlay stays
READ = 0.7  # confidence of the recogniser from which a line is taken for writing
HIGHEST = 0.12  # of the frame's height; a line of subtitles is lower, signs that can be read often are not
BRIGHT, CONTRAST = 185.0, 110.0  # grey levels of rendered writing
LEVEL = 1.2  # degrees, or two pixels
SLANT = 5.0  # degrees by which a box of level writing on a textured picture may lean
STEEPEST = 55.0  # degrees that words across a picture are turned by
LONG = 0.25  # of the shorter side: words across a picture
EXACT = 0.012  # of the frame's width: a line is centred by a machine
MOST_BOXES = 12  # a frame; the largest, for pages
TICKER = 0.35  # of the frame's width, at least, is under writing that runs along a row
SPEEDS = 0.15  # the lines of rolling credits differ less in speed


@dataclass(frozen=True)
class Writing:
    """One box of one frame: what it says, where it is over time, and what it is taken for."""

    track: Track
    line: Line
    kind: Kind
    shape: tuple[int, int]  # height and width of the frame

    @property
    def is_subtitle(self) -> bool:
        """Whether it is where lines of subtitles are."""
        return _centred(self.track.box, self.shape)

    @property
    def whole(self) -> bool:
        """Whether it stands all the time, a frame or two aside."""
        shown = self.track.shown
        return bool(shown.sum() >= 0.85 * len(shown))


_last: dict[tuple[bytes, bytes], tuple[Writing, ...]] = {}


def looks(times: NDArray[np.float64]) -> list[int]:
    """The indices of the frames to search for writing."""
    count = int(np.clip(np.ceil((times[-1] - times[0] + _step(times)) / LOOK_SECONDS), 1, MOST_LOOKS))
    return [int((i + 0.5) / count * len(times)) for i in range(count)]


def find(frames: Bytes, times: NDArray[np.float64]) -> tuple[Writing, ...]:
    """All writing in the searched frames of [T,H,W] grey; a line that stays is in it for each of them."""
    searched = hashlib.blake2b(frames[looks(times)].tobytes(), digest_size=16).digest()
    key = searched, times.tobytes()
    if key not in _last:  # the filters of one clip follow each other
        _last.clear()
        _last[key] = _search(frames, times)
    return _last[key]


def _search(frames: Bytes, times: NDArray[np.float64]) -> tuple[Writing, ...]:
    found: list[Writing] = []
    for at in looks(times):
        there = sorted(ocr.boxes(frames[at]), key=lambda box: -box.area)[:MOST_BOXES]
        known = {box: _known(box, at, found) for box in there}
        new = [box for box, seen in known.items() if seen is None]
        read = dict(zip(new, ocr.read(frames[at], new), strict=True))
        now = [seen or _judged(frames, times, box, at, there, read[box]) for box, seen in known.items()]
        found += _without_strays([one for one in now if one], frames.shape[2])
    return tuple(found)


def legible(line: Line) -> bool:
    """Whether the recogniser is sure of two letters or digits at least."""
    return line.confidence >= READ and line.characters >= 2


def rendered(frame: Bytes, box: Box) -> bool:
    """Whether a box looks drawn by a machine onto the picture: upright, bright, with contrast, not high."""
    left, top, right, bottom = box.bounds
    dark, bright = np.percentile(frame[top:bottom, left:right], (3, 97))
    drawn = bright >= BRIGHT and bright - dark >= CONTRAST
    return bool(drawn and upright(box) and low(box, frame.shape) and right - left > bottom - top)


def upright(box: Box) -> bool:
    """Whether a box is level, to the detector's precision."""
    return abs(box.tilt) <= LEVEL or abs(box.corners[1][1] - box.corners[0][1]) <= 2


def low(box: Box, shape: tuple[int, ...]) -> bool:
    """Whether a box is no higher than a line of subtitles."""
    _, top, _, bottom = box.bounds
    return bottom - top <= max(HIGHEST * shape[0], 16)


def in_corner(box: Box, shape: tuple[int, ...]) -> bool:
    """Whether a box is near a corner and not wide."""
    height, width = shape
    left, top, right, bottom = box.bounds
    beside = min(left, width - right) < 0.1 * width and right - left < 0.5 * width
    return beside and min(top, height - bottom) < 0.12 * height


def in_middle(box: Box, shape: tuple[int, ...]) -> bool:
    """Whether a box is long and across the middle of the picture: level and exactly amid, or on a slant."""
    height, width = shape
    left, top, right, bottom = box.bounds
    beside, below = abs((left + right) / 2 / width - 0.5), abs((top + bottom) / 2 / height - 0.5)
    if box.length < LONG * min(height, width):
        return False
    if abs(box.tilt) <= SLANT:
        return beside < 2 * EXACT and below < 0.15
    return STEEPEST > abs(box.tilt) > 3 * SLANT and max(beside, below) < 0.2


def placed(box: Box, shape: tuple[int, ...]) -> bool:
    """Whether a box is where overlays are: as subtitles, or in a corner."""
    height, width = shape
    left, top, right, bottom = box.bounds
    middle = abs((left + right) / 2 / width - 0.5) < 0.04
    return (middle and (top > 0.7 * height or bottom < 0.25 * height)) or in_corner(box, shape)


def _known(box: Box, at: int, found: list[Writing]) -> Writing | None:
    """The same overlay at another frame, if one stayed until here; seen from this frame."""
    for one in found:
        if one.kind == "overlay" and one.track.run[at] and overlap(one.track.box, box) > 0.6:
            return replace(one, track=replace(one.track, at=at))
    return None


def _judged(
    frames: Bytes, times: NDArray[np.float64], box: Box, at: int, there: list[Box], line: Line
) -> Writing | None:
    track = tracks.follow(frames, times, box, at, [other for other in there if other is not box])
    kind = _kind(frames, times, track, line)
    height, width = frames.shape[1:]
    return Writing(track, line, kind, (height, width)) if kind else None


def _kind(frames: Bytes, times: NDArray[np.float64], track: Track, line: Line) -> Kind | None:
    """What a box is taken for; None: no writing at all."""
    box, shape, stood = track.box, frames.shape[1:], int(track.run.sum())
    reads = legible(line)
    stays = stood * _step(times) >= LEAST_SECONDS
    if stays and (reads or stood >= 4) and (track.moved >= 0.5 or (track.kept >= 0.6 and low(box, shape))):
        return "overlay"
    drawn = rendered(frames[track.at], box)
    if stays and drawn and _centred(box, shape) and (reads or _long(box)):
        return "overlay"
    if reads and drawn and stood >= 0.85 * len(track.run) and placed(box, shape):
        return "overlay"
    if not reads:
        return None
    runs = (track.across or track.down) and not track.carried
    return "scroll" if runs and upright(box) and low(box, shape) else "scene"


def _without_strays(found: list[Writing], width: int) -> list[Writing]:
    """Running writing that is short and alone, or rises alone, belongs to something that moves."""
    kept = []
    for one in found:
        if one.kind == "scroll" and not _in_company(one, found, width):
            one = replace(one, kind="scene")
        kept.append(one)
    return kept


def _in_company(one: Writing, found: list[Writing], width: int) -> bool:
    running = [other for other in found if other.kind == "scroll"]
    if one.track.across:
        row = [other.track.box.bounds for other in running if _same_row(one.track.box, other.track.box)]
        return sum(right - left for left, _, right, _ in row) >= TICKER * width
    speeds = np.array([other.track.down for other in running])
    return int((np.abs(speeds - one.track.down) <= SPEEDS * abs(one.track.down)).sum()) >= 2


def _same_row(one: Box, other: Box) -> bool:
    return abs(sum(one.bounds[1::2]) - sum(other.bounds[1::2])) / 2 < one.bounds[3] - one.bounds[1]


def _centred(box: Box, shape: tuple[int, ...]) -> bool:
    """Whether a box is where a line of subtitles is, or, exactly in the middle across, of a title."""
    height, width = shape
    left, top, right, bottom = box.bounds
    middle, off = (top + bottom) / 2 / height, abs((left + right) / 2 / width - 0.5)
    return off < EXACT or (off < 0.04 and (middle > 0.75 or middle < 0.2))


def _long(box: Box) -> bool:
    """Whether a box is as long as a line, if what it says cannot be read."""
    left, top, right, bottom = box.bounds
    return right - left > 2 * (bottom - top)


def _step(times: NDArray[np.float64]) -> float:
    """Seconds between frames."""
    return float(np.median(np.diff(times))) if len(times) > 1 else 0.0


def overlap(one: Box, other: Box) -> float:
    """Intersection over union of two boxes' upright rectangles."""
    a, b = one.bounds, other.bounds
    wide, high = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    common = max(0, wide) * max(0, high)
    return common / (one.area + other.area - common)
