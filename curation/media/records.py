"""What goes into the child process and what comes back. Plain data: it travels as JSON, never as pickle."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypedDict

from curation.filters import WHOLE, Filter, Kind, Margins, parse
from curation.split import SplitConfig

Span = tuple[int, int]  # start_ms, end_ms


class ClipRecord(TypedDict):
    """One judged clip. Times in seconds of the source, sizes in pixels after rotation."""

    kind: Kind
    start_s: float
    end_s: float
    width: int
    height: int
    fps: float | None  # None for an image
    num_frames: int
    scores: dict[str, float]  # "<filter>_<score>"
    filter: str | None  # who rejected it; None: kept
    reason: str | None
    thumbnail: bytes  # a JPEG strip of up to 5 frames, 96 px high
    fingerprint: bytes  # 5 perceptual hashes of 64 bits, 40 bytes
    signals: dict[str, Any]  # measured facts for a captioner


@dataclass(frozen=True)
class ScanRequest:
    """How to judge a file, with its filters in `order` (names; else by their cost).

    `skip` names spans that need no judging again (they are left out). Of spans in `known` some scores need no
    measuring again, and their records come without thumbnail, fingerprint and signals; if there are any,
    `known` and `skip` together name each clip of the file.
    """

    split: SplitConfig = field(default_factory=SplitConfig)
    filters: tuple[Filter, ...] = ()
    score_all: bool = False
    skip: frozenset[Span] = frozenset()
    known: Mapping[Span, Mapping[str, float]] = field(default_factory=dict)
    order: tuple[str, ...] = ()

    def to_json(self) -> str:
        """This request as one line."""
        return json.dumps(
            {
                "split": self.split.model_dump(),
                "filters": [rule.entry() for rule in self.filters],
                "score_all": self.score_all,
                "skip": sorted(self.skip),
                "known": [[*span, scores] for span, scores in self.known.items()],
                "order": self.order,
            }
        )

    @classmethod
    def from_json(cls, text: str) -> ScanRequest:
        """The inverse of `to_json`; loads the filters."""
        raw = json.loads(text)
        return cls(
            SplitConfig(**raw["split"]),
            parse(raw["filters"]),
            raw["score_all"],
            frozenset((start, end) for start, end in raw["skip"]),
            {(start, end): scores for start, end, scores in raw["known"]},
            tuple(raw["order"]),
        )


def span_of(clip: Mapping[str, Any]) -> Span:
    """The span of a clip's record or row, in whole milliseconds."""
    return round(clip["start_s"] * 1000), round(clip["end_s"] * 1000)


@dataclass(frozen=True)
class Finish:
    """What is done to a clip's pictures before they are published."""

    margins: Margins = WHOLE  # cut off
    hide_faces: bool = False

    def to_json(self) -> dict[str, Any]:
        """Plain data for the way to the child."""
        return {"margins": self.margins, "hide_faces": self.hide_faces}

    @classmethod
    def from_json(cls, raw: dict[str, Any]) -> Finish:
        """The inverse of `to_json`."""
        top, bottom, left, right = raw["margins"]
        return cls((top, bottom, left, right), raw["hide_faces"])


class Cut(NamedTuple):
    """A clip's bytes and their format: "mp4", "png", "jpeg" or "webp"."""

    data: bytes
    media_format: str
    copied: bool  # the pictures are the source's own, not encoded anew
    hidden: float | None = None  # share of frames with a blurred face; None: faces stay


@dataclass(frozen=True)
class ScanResult:
    """All clips of one file, in order, and the seconds that each step took ("decode", "<filter>")."""

    kind: Kind
    clips: list[ClipRecord]
    seconds: dict[str, float]

    def to_json(self) -> str:
        """This result as one line, bytes in base64."""
        return json.dumps(
            {"kind": self.kind, "seconds": self.seconds, "clips": [_texts(clip) for clip in self.clips]},
            allow_nan=False,
        )

    @classmethod
    def from_json(cls, text: str) -> ScanResult:
        """The inverse of `to_json`."""
        raw = json.loads(text)
        return cls(raw["kind"], [_bytes(clip) for clip in raw["clips"]], raw["seconds"])


_BINARY = ("thumbnail", "fingerprint")


def _texts(clip: ClipRecord) -> dict[str, Any]:
    row: dict[str, Any] = dict(clip)
    return row | {key: base64.b64encode(row[key]).decode() for key in _BINARY}


def _bytes(row: dict[str, Any]) -> ClipRecord:
    whole: Any = row | {key: base64.b64decode(row[key]) for key in _BINARY}
    clip: ClipRecord = whole
    return clip
