"""Filters that are measured by the parent of the process that decodes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from curation.errors import InputError, MediaError
from curation.filters import Filter, parse
from curation.media.child import Limits, MediaWorker
from curation.media.records import ScanRequest
from curation.media.scan import scan

RULE = '''
"""Rejects nothing. Source: a test."""
import os
from typing import ClassVar
from curation.errors import InputError
from curation.filters import Cost, Filter, Frames

class Apart(Filter):
    apart: ClassVar = True
    cost: ClassVar = Cost.MODEL
    needs: ClassVar = (Frames(count=3, long_side=160, color="rgb"), Frames(fps=1, long_side=80))
    scores: ClassVar = ("pid", "red", "gray", "last", "length")
    thresholds: ClassVar = {"max_red": ("red", "max")}
    max_red: float | None = 255
    trouble: str = ""
    hold_gb: float = 0

    def measure(self, clip):
        if self.trouble == "input":
            raise InputError("no weights", "filters", "get them")
        if self.trouble:
            raise ValueError(self.trouble)
        held = bytearray(int(self.hold_gb * 2**30))
        rgb, gray = (clip.frames(needs) for needs in self.needs)
        red, last = rgb[..., 0].mean(), clip.times(self.needs[0])[-1]
        return {"pid": os.getpid(), "red": red, "gray": gray.mean(), "last": last, "length": clip.end_s}
'''


@pytest.fixture(scope="module")
def worker() -> Iterator[MediaWorker]:
    """One child for all tests."""
    with MediaWorker() as started:
        yield started


def rule(tmp_path: Path, **fields: object) -> tuple[Filter, ...]:
    """The filter above, from a file as a user's would be."""
    path = tmp_path / "elsewhere.py"
    path.write_text(RULE)
    return parse([{str(path): fields}])


@pytest.mark.parametrize("name", ["bikes.mp4", "coffee.png"])
def test_scores_are_those_of_the_same_frames(
    worker: MediaWorker, tmp_path: Path, videos: Path, images: Path, name: str
) -> None:
    """Measured in this process, from the very frames that the decoding process took; then decided as ever."""
    path = next(folder / name for folder in (videos, images) if (folder / name).exists())
    request = ScanRequest(filters=rule(tmp_path, max_red=0))
    clips = worker.scan(path, request).clips
    here = scan(path, request, 10**8).clips
    assert [clip["scores"] for clip in clips] == [clip["scores"] for clip in here]
    judged = [clip for clip in clips if clip["filter"] != "split"]
    assert {clip["scores"]["elsewhere_pid"] for clip in judged} == {os.getpid()}
    assert {clip["reason"] for clip in judged} == {"above_max_red"}


def test_a_model_may_be_larger_than_the_decoders_limit(tmp_path: Path, images: Path) -> None:
    """The limit holds for decoding alone."""
    request = ScanRequest(filters=rule(tmp_path, hold_gb=1.5))
    with MediaWorker(Limits(memory_bytes=1 << 30)) as worker:
        assert worker.scan(images / "coffee.png", request).clips[0]["reason"] is None


def test_its_failures_are_the_clips_or_the_recipes(worker: MediaWorker, tmp_path: Path, images: Path) -> None:
    """An exception is an error of the file, missing weights are one of the recipe; the worker goes on."""
    path = images / "coffee.png"
    with pytest.raises(MediaError, match="elsewhere: ValueError: odd") as failed:
        worker.scan(path, ScanRequest(filters=rule(tmp_path, trouble="odd")))
    assert failed.value.slug == "filter_failed"
    with pytest.raises(InputError, match="no weights"):
        worker.scan(path, ScanRequest(filters=rule(tmp_path, trouble="input")))
    assert worker.scan(path, ScanRequest(filters=rule(tmp_path))).clips
