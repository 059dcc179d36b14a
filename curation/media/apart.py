"""Filters measured outside the process that decodes: their frames go to its parent, scores come back.

That process lives under a memory limit, because it reads untrusted files. Under it a large model cannot
load (CLIP ViT-L/14 takes 4.5 GB of addresses, CUDA more than any limit that would catch a bomb), and each
restart after a bad file would load it again. The parent decodes nothing: it sees pixels of known shape.
"""

from __future__ import annotations

import signal
import socket
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from curation.errors import InputError, MediaError
from curation.filters import Clip, Filter, Frames, Judgement, Kind
from curation.media import wire

FACTS = ("kind", "width", "height", "fps", "num_frames", "start_s", "end_s")


class HandedOver:
    """The child's side: judges a clip, and lets the parent measure where the filter says so."""

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel

    def __call__(self, rule: Filter, clip: Clip) -> Judgement:
        """As `Filter.judge`; what goes wrong in the parent is raised here."""
        if not rule.apart:
            return rule.judge(clip)
        scores = self._ask(rule, clip)
        return Judgement(scores, rule.decide(scores))

    def _ask(self, rule: Filter, clip: Clip) -> dict[str, float]:
        taken = [(clip.frames(needs), clip.times(needs)) for needs in rule.requires()]
        shapes = [[list(frames.shape), times.tolist()] for frames, times in taken]
        facts = {fact: getattr(clip, fact) for fact in FACTS}
        blob = b"".join(frames.tobytes() for frames, _ in taken)
        left, _ = signal.setitimer(signal.ITIMER_REAL, 0)  # loading a model is not a hang
        wire.send(self._channel, {"measure": rule.name(), "clip": facts, "taken": shapes}, blob)
        answer, _ = wire.receive(self._channel)
        signal.setitimer(signal.ITIMER_REAL, left)
        if "what" in answer:
            raise InputError(answer["what"], answer["step"], answer["next_step"])
        if "failed" in answer:
            raise MediaError("filter_failed", f"{rule.name()}: {answer['failed']}")
        scores: dict[str, float] = answer["scores"]
        return scores


def measured(rules: Iterable[Filter], message: dict[str, Any], blob: bytes) -> dict[str, Any]:
    """The parent's side: the answer to a child's question. Only `rules` can be asked for."""
    try:
        rule = next(rule for rule in rules if rule.apart and rule.name() == message["measure"])
        return {"scores": rule.measure(_clip(rule, message, blob))}
    except InputError as error:
        return {"what": error.what, "step": error.step, "next_step": error.next_step}
    except Exception as error:  # noqa: BLE001 - models raise anything; each is one file's error
        return {"failed": f"{type(error).__name__}: {error}"}


@dataclass
class _HandedClip:
    """A clip as filters see it (`curation.filters.Clip`), over frames that another process took."""

    kind: Kind
    width: int
    height: int
    fps: float | None
    num_frames: int
    start_s: float
    end_s: float
    taken: dict[Frames, tuple[NDArray[np.uint8], NDArray[np.float64]]]

    def frames(self, needs: Frames) -> NDArray[np.uint8]:
        """[T,H,W] or [T,H,W,3]."""
        return self.taken[needs][0]

    def times(self, needs: Frames) -> NDArray[np.float64]:
        """[T] seconds of the source."""
        return self.taken[needs][1]


def _clip(rule: Filter, message: dict[str, Any], blob: bytes) -> Clip:
    pictures = _pictures([shape for shape, _ in message["taken"]], blob)
    times = [np.array(times) for _, times in message["taken"]]
    taken = dict(zip(rule.requires(), zip(pictures, times, strict=True), strict=True))
    return _HandedClip(**{fact: message["clip"][fact] for fact in FACTS}, taken=taken)


def _pictures(shapes: Iterable[list[int]], blob: bytes) -> Iterator[NDArray[np.uint8]]:
    values, start = np.frombuffer(blob, np.uint8), 0
    for shape in shapes:
        size = int(np.prod(shape))
        yield values[start : start + size].reshape(shape)
        start += size
