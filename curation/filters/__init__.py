"""What a filter is: thresholds with a source, the frames it needs, scores, and a decision from scores alone.

A filter is one file, `curation/filters/<rule>.py` or a path named in the recipe; dropping it in is all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol

from pydantic import BaseModel, ConfigDict

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Kind = Literal["image", "video"]
Side = Literal["min", "max"]
Margins = tuple[float, float, float, float]  # top, bottom, left, right: shares of the height, of the width
WHOLE: Margins = (0.0, 0.0, 0.0, 0.0)


class Cost(IntEnum):
    """How dear a filter is; the cascade runs the cheap ones first."""

    PROBE = 0  # the header and the clip's span
    FRAMES = 1  # arithmetic on sampled frames
    FLOW = 2  # optical flow
    MODEL = 3  # a neural network


@dataclass(frozen=True)
class Frames:
    """Frames that a filter asks for: either `fps` (a grid of the clip) or `count` (evenly spaced), not both.

    `long_side` is in pixels, None for full size; frames are never enlarged. A video clip that cannot give
    `least` frames is rejected as too short, and the filter is not asked. `lead` frames in a row begin each
    scene, before the grid goes on. `bgr_gray` is grey by way of 8-bit BGR, as OpenCV reads a file: always
    full size, pixels square or not. `vectors` are no pixels but `VECTORS` below.
    """

    fps: float | None = None
    count: int | None = None
    long_side: int | None = None
    color: Literal["gray", "rgb", "bgr_gray", "vectors"] = "gray"
    least: int = 1
    lead: int = 1

    def __post_init__(self) -> None:
        if (self.fps is None) == (self.count is None):
            raise ValueError("ask for frames by fps or by count, one of the two")


# Codec motion vectors instead of pixels, of frames that have any (perhaps none): [T,4,4] float32, speeds on a
# grid in percent of the diagonal a second, NaN where the codec predicted nothing. Reading them costs as much
# as decoding a small frame, so not each frame's are; fewer would miss what moves in cartoons.
VECTORS = Frames(fps=6, color="vectors", least=0)


class Clip(Protocol):
    """A clip or an image as filters see it. Seconds of its source; pixels after rotation."""

    kind: Kind
    fps: float | None  # None for an image
    num_frames: int
    start_s: float
    end_s: float

    @property
    def width(self) -> int:
        """Pixels, after rotation."""
        ...

    @property
    def height(self) -> int:
        """Pixels, after rotation."""
        ...

    def frames(self, needs: Frames) -> NDArray[np.uint8]:
        """[T,H,W] for gray, [T,H,W,3] for rgb; an image is one frame. `needs` must be one of the filter's."""
        ...

    def times(self, needs: Frames) -> NDArray[np.float64]:
        """[T] seconds of the source at which `frames` were taken."""
        ...


@dataclass(frozen=True)
class Judgement:
    """Scores by name and, if the clip is rejected, the reason's slug."""

    scores: dict[str, float]
    reason: str | None


class Filter(BaseModel):
    """Base of all filters. Fields are thresholds (None switches one off); scores and decision are apart."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    cost: ClassVar[Cost]
    needs: ClassVar[tuple[Frames, ...]] = ()
    applies_to: ClassVar[tuple[Kind, ...]] = ("image", "video")
    per_file: ClassVar[bool] = False  # scores are the same for each clip of a file: judged before decoding
    apart: ClassVar[bool] = False  # measured outside the process that decodes: a large model, or on a GPU
    version: ClassVar[int] = 1  # one more with each change by which the same clip gets other scores
    scores: ClassVar[tuple[str, ...]]  # names of what `measure` returns
    optional: ClassVar[tuple[str, ...]] = ()  # of these, those that a clip may lack: not measurable on it
    thresholds: ClassVar[Mapping[str, tuple[str, Side]]]  # field -> the score it bounds, and from which side
    reasons: ClassVar[Mapping[str, str]] = {}  # field -> slug, where below_<field> or above_<field> says less

    @classmethod
    def name(cls) -> str:
        """The rule's name: that of its file."""
        return cls.__module__.rpartition(".")[2]

    def requires(self) -> tuple[Frames, ...]:
        """Frames needed with these settings; `needs` unless a field changes them."""
        return self.needs

    @property
    def crops(self) -> bool:
        """Whether clips lose their `margins` to this filter; all others then see, and judge, what is left."""
        return False

    @property
    def hides_faces(self) -> bool:
        """Whether faces are blurred in all that is published of a clip."""
        return False

    def margins(self, scores: Mapping[str, float]) -> Margins:
        """What is cropped off by a filter that `crops`, from its scores."""
        return WHOLE

    def revision(self) -> str | None:
        """Name and revision of the model behind the scores, None if there is none: other weights, other text.

        It is asked before any work, and often: cheap or cached, without loading a model or a network.
        Raises InputError if the weights are not on this machine.
        """
        return None

    def check(self) -> None:
        """Raise InputError if what measuring takes is not on this machine; asked before any work."""
        self.revision()

    def measure(self, clip: Clip) -> dict[str, float]:
        """Finite scores of a clip under the names in `scores`; stored as `<filter>_<score>`.

        One of `optional` that cannot be measured on this clip is left out: no number stands for it.
        """
        raise NotImplementedError

    def decide(self, scores: Mapping[str, float]) -> str | None:
        """The reason to reject, or None. From scores and thresholds alone, so that both can change later."""
        for field, (score, side) in self.thresholds.items():
            bound = getattr(self, field)
            if bound is None or (score in self.optional and score not in scores):
                continue
            if scores[score] < bound if side == "min" else scores[score] > bound:
                return self.reasons.get(field, f"{'below' if side == 'min' else 'above'}_{field}")
        return None

    def judge(self, clip: Clip) -> Judgement:
        """Scores of a clip and the decision that follows from them."""
        scores = self.measure(clip)
        return Judgement(scores, self.decide(scores))

    def entry(self) -> dict[str, dict[str, Any]]:
        """This filter as a recipe names it, `{name or path: {field: value}}`; `parse` reads it back."""
        return {_origin(type(self)): self.model_dump()}


def load(name: str) -> type[Filter]:
    """The filter class of a rule's name, or of a path to a .py file.

    Raises InputError, with near matches, when there is none.
    """
    from curation.filters._discovery import find

    return find(name)


def names() -> tuple[str, ...]:
    """All rules that stand in this folder, sorted."""
    from curation.filters._discovery import rules

    return rules()


def parse(entries: Sequence[str | Mapping[str, Any]]) -> tuple[Filter, ...]:
    """A recipe's list, each entry a name or `{name: {field: value}}`, as filters. Raises InputError."""
    from curation.filters._discovery import build, check_names

    filters = tuple(build(entry) for entry in entries)
    check_names(filters)
    return filters


def _origin(kind: type[Filter]) -> str:
    """Name of a rule of this folder, else the path of its file."""
    import sys

    if kind.__module__.startswith(__name__ + "."):
        return kind.name()
    return str(Path(sys.modules[kind.__module__].__file__ or "").resolve())
