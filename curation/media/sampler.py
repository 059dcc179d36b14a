"""Which decoded frames are kept, how large, and for how long.

The clips of a video are not known while it is decoded. So frames are kept on time grids that start anew at
each scene: one grid for each distinct `Frames` that the filters ask for, so that a filter sees the same
pixels whichever other filters run. Those who ask by count share a few frames of each scene, of which only
the chosen ones are made pictures. Samples of closed clips are dropped, and scenes have a longest length, so
memory does not grow with the video.
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
from curation.media.held import Candidates, HeldFrame, period, slack
from curation.media.vectors import VectorReader, speeds

Sample = tuple[float, Any]  # seconds, and the picture, or what it is made of when somebody asks
# Options of a decoder. Deblocking takes a fifth of decoding H.264. Left out for frames that nothing is
# predicted from, it takes a tenth less, and no other frame changes: of the scores of 22 films BRISQUE's by
# 0.12 in the mean, the others by 0.01 or less.
SPARED = {"skip_loop_filter": "noref"}
RECENT = 4  # frames kept beyond those that a cut trims


@dataclass
class Track:
    """Samples of one grid: (time in seconds, picture) in order."""

    needs: Frames
    period: float  # seconds
    slack: float = 1e-6  # seconds by which stamps may be early: containers round them
    start: float = 0.0
    taken: int = 0
    leading: int = 0
    samples: list[Sample] = field(default_factory=list)

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

    def add(self, time: float, sample: Any) -> None:
        """Keep a sample and move to the next point after it."""
        self.samples.append((time, sample))
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
        wanted = set(wanted)
        self._by_count = [need for need in wanted if need.count]
        self._candidates = Candidates(self._by_count, fps) if self._by_count else None
        self.tracks = {need: Track(need, period(need.fps, fps), slack(fps)) for need in wanted if need.fps}
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
        held = self.held(frame) if wanted else None
        for track in self._grids:
            if not track.due(time):
                continue
            if held:
                track.add(time, held.picture(track.needs))
            else:
                track.pass_over(time)
        self._next = min((track.next for track in self._grids), default=inf)
        if self._candidates:
            if time >= self._candidates.next:
                self._candidates.add(time, held)
            self._next = min(self._next, self._candidates.next)

    def held(self, frame: Any) -> HeldFrame:
        """A frame as pictures of the sizes and colours that are asked of it."""
        return HeldFrame(frame, self._size, self._turns)

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
        if self._candidates:
            self._candidates.new_scene(time)

    def close(self, end_s: float) -> None:
        """The scene ended before `end_s`: where it gave too few samples, its last frame is one more."""
        last = next((recent for recent in reversed(self._recent) if recent[0] < end_s - 1e-6), None)
        for track in self._grids:
            inside = [time for time, _ in track.samples if track.start - 1e-6 <= time < end_s - 1e-6]
            enough = track.needs.least + track.needs.lead - 1
            if last and len(inside) < enough and last[0] > max(inside, default=track.start - 1):
                track.samples.append((last[0], self.held(last[1]).picture(track.needs)))
                track.samples.sort(key=lambda sample: sample[0])

    def forget(self, before: float) -> None:
        """Drop samples of clips that are done."""
        for track in self.tracks.values():
            track.samples = [sample for sample in track.samples if sample[0] >= before - 1e-6]
        if self._candidates:
            self._candidates.forget(before)

    def between(self, start_s: float, end_s: float) -> dict[Frames, list[Sample]]:
        """The samples of a clip [start_s, end_s), by need."""

        def inside(samples: list[Sample]) -> list[Sample]:
            return [sample for sample in samples if start_s - 1e-6 <= sample[0] < end_s - 1e-6]

        found = {need: inside(track.samples) for need, track in self.tracks.items()}
        few = inside(self._candidates.kept()) if self._candidates else []
        return {**found, **dict.fromkeys(self._by_count, few)}

    def near(self, time: float) -> list[Sample]:
        """Of the frames kept for who asks by count the nearest to a time, or else the last frame."""
        kept = self._candidates.kept() if self._candidates else []
        return nearest(kept, [time]) if kept else [(time, self.held(self._recent[-1][1]))]


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
    samples: dict[Frames, list[Sample]]

    def frames(self, needs: Frames) -> NDArray[Any]:
        """[T,H,W] or [T,H,W,3] uint8 of one of the declared needs; vectors as `VECTORS` says."""
        chosen = [sample for _, sample in self._chosen(needs)]
        if needs == VECTORS:
            return speeds(chosen)
        return np.stack([one.picture(needs) if isinstance(one, HeldFrame) else one for one in chosen])

    def times(self, needs: Frames) -> NDArray[np.float64]:
        """[T] seconds of the source at which `frames` were taken."""
        return np.array([time for time, _ in self._chosen(needs)])

    def _chosen(self, needs: Frames) -> list[Sample]:
        samples = self.samples[needs]
        if needs.count is None or len(samples) <= needs.count:
            return samples
        length = self.end_s - self.start_s
        points = [self.start_s + length * (i + 0.5) / needs.count for i in range(needs.count)]
        return nearest(samples, points)


def nearest(samples: list[Sample], points: list[float]) -> list[Sample]:
    """The sample nearest to each point in time, one for each point."""
    times = np.array([time for time, _ in samples])
    return [samples[int(np.abs(times - point).argmin())] for point in points]
