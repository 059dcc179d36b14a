"""From frame differences to spans: where a video is cut into clips."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from itertools import pairwise
from math import ceil
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class SplitConfig(BaseModel):
    """How a video is cut into clips. Images are never split."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: Literal["content", "adaptive", "none"] = Field(
        default="content",
        description="PySceneDetect's ContentDetector or AdaptiveDetector, or no cut but the longest length",
    )
    threshold: float | None = Field(
        default=None,
        gt=0,
        description="detector's threshold; None is PySceneDetect's: content 27, adaptive 3",
    )
    min_scene_frames: int = Field(
        default=15,
        ge=1,
        description="cuts closer than this are one (PySceneDetect's and Data-Juicer's default)",
    )
    min_seconds: float = Field(
        default=0.5,
        ge=0,
        description="shorter clips are rejected by `split` as too_short, without being scored",
    )
    max_seconds: float = Field(
        default=20.0,
        ge=1,
        le=120,
        description="longer scenes are cut into equal parts (bounds the memory, too)",
    )
    trim_frames: int = Field(
        default=0, ge=0, description="frames dropped on both sides of a cut, against cross-fades"
    )


@dataclass(frozen=True)
class Span:
    """Frames [first, last) of a video. `too_short` ones become rejected clips, so that none disappears."""

    first: int
    last: int
    too_short: bool = False


class Splitter:
    """Finds spans while frames go by, with PySceneDetect's own detectors; every frame is fed once, in order.

    A scene longer than the longest length is cut into equal parts. One that grows to twice that length gives
    off a part of full length while it is still open, so that nobody has to remember a whole film.
    """

    def __init__(self, config: SplitConfig, fps: float) -> None:
        self.config = config
        self.times: list[float] = []
        self._fps = fps
        self._period = 1 / fps
        self._detector = _detector(config)
        self._open = 0  # first frame of the scene that is not closed yet
        self._open_is_cut = False

    def push(self, time: float, picture: NDArray[np.uint8] | None) -> tuple[list[Span], bool]:
        """Feed the next frame (BGR). Returns the spans that became final and whether a cut was seen."""
        index = len(self.times)
        self.times.append(time)
        spans: list[Span] = []
        cuts = [cut for cut in self._cuts(index, picture) if cut > self._open]
        for cut in cuts:
            spans += self._close(cut, at_cut=True)
        while time - self.times[self._open] >= 2 * self.config.max_seconds:
            spans += self._give_off()
        return spans, bool(cuts)

    def finish(self) -> list[Span]:
        """The spans of the last scene, once there are no more frames."""
        return self._close(len(self.times), at_cut=False)

    def end_time(self, span: Span) -> float:
        """Seconds at which the frame after the span begins."""
        return self.times[span.last] if span.last < len(self.times) else self.times[-1] + self._period

    def _cuts(self, index: int, picture: NDArray[np.uint8] | None) -> list[int]:
        if self._detector is None or picture is None:
            return []
        from curation.media.scenes import Position

        found = self._detector.process_frame(Position(index, self._fps), picture)
        return [int(cut.frame_num) for cut in found]

    def _close(self, end: int, at_cut: bool) -> list[Span]:
        """End the open scene before frame `end`; trim it where it borders on a cut."""
        first = self._open + self.config.trim_frames * self._open_is_cut
        last = end - self.config.trim_frames * at_cut
        whole = Span(self._open, end, too_short=True)
        self._open, self._open_is_cut = end, at_cut
        if last <= first:
            return [whole]
        return self._parts(first, last)

    def _give_off(self) -> list[Span]:
        first = self._open + self.config.trim_frames * self._open_is_cut
        self._open = bisect_left(self.times, self.times[first] + self.config.max_seconds - 1e-6, first + 1)
        self._open_is_cut = False
        return [self._checked(first, self._open)]

    def _parts(self, first: int, last: int) -> list[Span]:
        """Equal parts in time, each at most the longest length."""
        start, end = self.times[first], self.end_time(Span(first, last))
        count = max(1, ceil((end - start) / self.config.max_seconds - 1e-6))
        inner = [bisect_left(self.times, start + (end - start) * k / count - 1e-6) for k in range(1, count)]
        edges = sorted({first, last, *inner})
        return [self._checked(a, b) for a, b in pairwise(edges)]

    def _checked(self, first: int, last: int) -> Span:
        seconds = self.end_time(Span(first, last)) - self.times[first]
        return Span(first, last, too_short=seconds < self.config.min_seconds - 1e-6)


def _detector(config: SplitConfig) -> Any:
    """PySceneDetect's detector of this method, or None."""
    if config.method == "none":
        return None
    from curation.media.scenes import QuickAdaptive, QuickContent

    length = config.min_scene_frames
    if config.method == "content":
        return QuickContent(threshold=config.threshold or 27.0, min_scene_len=length)
    return QuickAdaptive(adaptive_threshold=config.threshold or 3.0, min_scene_len=length)
