"""Which decoded frames are kept, how large, and for how long.

The clips of a video are not known while it is decoded. So frames are kept on time grids that start anew at
each scene: one grid for each distinct `Frames` that the filters ask for, so that a filter sees the same
pixels whichever other filters run. Frames asked for by count come from a grid of two a second. Samples of
closed clips are dropped, and scenes have a longest length, so memory does not grow with the video.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from math import inf
from typing import Any

import numpy as np
from numpy.typing import NDArray

from curation.filters import VECTORS, Frames, Kind
from curation.media import planes
from curation.media.vectors import VectorReader

Bytes = NDArray[np.uint8]
COUNT_FPS = 2.0  # the grid behind frames asked for by count
ROUGH = 256  # pixels: who asks for grey pictures no larger than this looks at no detail
# Options of a decoder. Deblocking takes a fifth of decoding H.264. Left out for frames that nothing is
# predicted from, it takes a tenth less, and no other frame changes: of the scores of 22 films BRISQUE's by
# 0.12 in the mean, the others by 0.01 or less.
SPARED = {"skip_loop_filter": "noref"}
RECENT = 4  # frames kept beyond those that a cut trims


def fit(width: int, height: int, long_side: int | None) -> tuple[int, int]:
    """(width, height) with the longer one at most `long_side`, never enlarged, at least one pixel each."""
    scale = min(1.0, long_side / max(width, height)) if long_side else 1.0
    return max(1, round(width * scale)), max(1, round(height * scale))


@dataclass
class Track:
    """Samples of one grid: (time in seconds, picture) in order."""

    needs: Frames
    period: float  # seconds
    slack: float = 1e-6  # seconds by which stamps may be early: containers round them
    start: float = 0.0
    taken: int = 0
    leading: int = 0
    samples: list[tuple[float, Any]] = field(default_factory=list)

    def due(self, time: float) -> bool:
        """Whether the frame at `time` is the first at or after the grid's next point, or one of the lead."""
        return time >= self.next

    @property
    def next(self) -> float:
        """Seconds from which a frame is due."""
        return -inf if self.leading > 0 else self._point

    @property
    def _point(self) -> float:
        return self.start + self.taken * self.period - self.slack

    def add(self, time: float, picture: NDArray[Any]) -> None:
        """Keep a picture and move to the next point after it."""
        self.samples.append((time, picture))
        self.pass_over(time)

    def pass_over(self, time: float) -> None:
        """Move to the next point after `time`."""
        self.leading -= self.leading > 0
        while time >= self._point:
            self.taken += 1

    def restart(self, time: float) -> None:
        """A new scene begins: so does its grid."""
        self.start, self.taken, self.leading = time, 0, self.needs.lead


class Sampler:
    """Offers each decoded frame to all grids."""

    def __init__(
        self, wanted: Iterable[Frames], fps: float, width: int, height: int, turns: int, trimmed: int = 0
    ) -> None:
        self._size = (width, height)  # as stored, before rotation
        self._turns = turns
        self.tracks = {need: Track(need, _period(need, fps), 0.5 / fps - 1e-6) for need in wanted}
        self._grids = [track for need, track in self.tracks.items() if need != VECTORS]
        self._vectors = VectorReader(fps) if VECTORS in self.tracks else None
        # The decoder's buffers, not copies.
        self._recent: deque[tuple[float, Any]] = deque(maxlen=RECENT + trimmed)
        self._next = -inf  # seconds, before which no frame is due

    def offer(self, time: float, frame: Any, wanted: bool = True) -> None:
        """Keep the frame wherever it is due. Not `wanted`, it is of no clip to judge: pass over it."""
        self._recent.append((time, frame))
        if self._vectors:
            self._take_vectors(self._vectors, time, frame, wanted)
        if time < self._next:
            return
        halves = planes.Halves(frame) if wanted else None
        for track in self._grids:
            if track.due(time) and halves is None:
                track.pass_over(time)
            elif track.due(time):
                track.add(time, self.picture(frame, track.needs, halves))
        self._next = min((track.next for track in self._grids), default=inf)

    def _take_vectors(self, reader: VectorReader, time: float, frame: Any, wanted: bool) -> None:
        """Keep a frame's vectors if they are due; a frame without any leaves it to the next."""
        distance, track = reader.distance(frame), self.tracks[VECTORS]
        found = reader.read(frame, distance) if wanted and track.due(time) else None
        if found is not None:
            track.add(time, found)

    def new_scene(self, time: float) -> None:
        """The next frame is of another scene than the ones before: all grids start anew."""
        self._next = -inf
        for track in self.tracks.values():
            track.restart(time)

    def close(self, end_s: float) -> None:
        """The scene ended before `end_s`: where it gave too few samples, its last frame is one more."""
        last = next((recent for recent in reversed(self._recent) if recent[0] < end_s - 1e-6), None)
        for track in self._grids:
            inside = [time for time, _ in track.samples if track.start - 1e-6 <= time < end_s - 1e-6]
            enough = track.needs.least + track.needs.lead - 1
            if last and len(inside) < enough and last[0] > max(inside, default=track.start - 1):
                track.samples.append((last[0], self.picture(last[1], track.needs)))
                track.samples.sort(key=lambda sample: sample[0])

    def forget(self, before: float) -> None:
        """Drop samples of clips that are done."""
        for track in self.tracks.values():
            track.samples = [sample for sample in track.samples if sample[0] >= before - 1e-6]

    def between(self, start_s: float, end_s: float) -> dict[Frames, list[tuple[float, Bytes]]]:
        """The samples of a clip [start_s, end_s), by need."""
        return {
            need: [sample for sample in track.samples if start_s - 1e-6 <= sample[0] < end_s - 1e-6]
            for need, track in self.tracks.items()
        }

    def near(self, needs: Frames, time: float) -> list[tuple[float, Bytes]]:
        """The one sample nearest to a time, or the last frame if all samples were of clips that are done."""
        kept = self.tracks[needs].samples
        return nearest(kept, [time]) if kept else [(time, self.picture(self._recent[-1][1], needs))]

    def picture(self, frame: Any, needs: Frames, halves: planes.Halves | None = None) -> Bytes:
        """A frame at the size and colour asked for, rotation applied."""
        if needs.color == "bgr_gray":
            picture = planes.bgr_gray(frame)
        elif needs.color == "gray":
            rough = needs.long_side is not None and needs.long_side <= ROUGH
            picture = planes.gray(frame, fit(*self._size, needs.long_side), halves, rough)
        else:
            picture = planes.rgb(frame, fit(*self._size, needs.long_side), halves)
        return np.ascontiguousarray(np.rot90(picture, self._turns)) if self._turns else picture


def _period(needs: Frames, fps: float) -> float:
    """Seconds between samples: a whole number of frames, as near the asked rate as can be."""
    wanted = needs.fps or COUNT_FPS
    return max(1, round(fps / wanted)) / fps


@dataclass
class SampledClip:
    """A clip over kept samples; what filters see as `curation.filters.Clip`."""

    kind: Kind
    width: int
    height: int
    fps: float | None
    num_frames: int
    start_s: float
    end_s: float
    samples: dict[Frames, list[tuple[float, Bytes]]]

    def frames(self, needs: Frames) -> Bytes:
        """[T,H,W] or [T,H,W,3] uint8 of one of the declared needs; vectors as `VECTORS` says."""
        return np.stack([picture for _, picture in self._chosen(needs)])

    def times(self, needs: Frames) -> NDArray[np.float64]:
        """[T] seconds of the source at which `frames` were taken."""
        return np.array([time for time, _ in self._chosen(needs)])

    def _chosen(self, needs: Frames) -> list[tuple[float, Bytes]]:
        samples = self.samples[needs]
        if needs.count is None or len(samples) <= needs.count:
            return samples
        length = self.end_s - self.start_s
        points = [self.start_s + length * (i + 0.5) / needs.count for i in range(needs.count)]
        return nearest(samples, points)


def nearest(samples: list[tuple[float, Bytes]], points: list[float]) -> list[tuple[float, Bytes]]:
    """The sample nearest to each point in time, one for each point."""
    times = np.array([time for time, _ in samples])
    return [samples[int(np.abs(times - point).argmin())] for point in points]
