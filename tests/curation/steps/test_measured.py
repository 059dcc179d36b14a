"""Runs in which one filter measures otherwise than before: it alone runs again."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from curation.dataset import open_dataset
from curation.media.child import MediaWorker
from curation.run import curate

from ..whole_run import everything, request, silent

RULE = '''"""Says what it is told to and notes each clip. Source: a test."""
from typing import ClassVar
from curation.filters import Clip, Cost, Filter, Frames

class {name}(Filter):
    cost: ClassVar = Cost.FRAMES
    needs: ClassVar = (Frames(count=1, long_side={side}, color="gray"),)
    scores: ClassVar = ("value",)
    thresholds: ClassVar = {{"min_value": ("value", "min")}}
    min_value: float | None = None
    scale: float = 1.0

    def measure(self, clip: Clip) -> dict[str, float]:
        frames = clip.frames(self.needs[0])
        with open({log!r}, "a") as log:
            log.write(f"{name} {{clip.kind}} {{clip.start_s}}\\n")
        return {{"value": float(frames.mean()) * self.scale}}
'''


@pytest.fixture
def rules(tmp_path: Path) -> tuple[str, str]:
    """Two filters in files of their own."""
    paths = []
    for name, side in (("First", 64), ("Second", 32)):
        path = tmp_path / f"{name.lower()}.py"
        path.write_text(RULE.format(name=name, side=side, log=str(tmp_path / "log")))
        paths.append(str(path))
    return paths[0], paths[1]


def ran(tmp_path: Path) -> Counter[str]:
    """How many clips each filter has measured since this was asked last."""
    log = tmp_path / "log"
    lines = log.read_text().splitlines() if log.exists() else []
    log.write_text("")
    return Counter(line.split()[0] for line in lines)


def test_a_filter_that_measures_otherwise_runs_alone(
    here: None,
    tmp_path: Path,
    videos: Path,
    images: Path,
    rules: tuple[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Other filters keep their scores, kept clips their media and words; all is as in a first run."""
    first, second = rules
    out, other = tmp_path / "dataset", tmp_path / "other"
    plain: dict[str, Any] = {
        "sources": [{"file": str(videos / "bikes.mp4")}, {"file": str(images / "coins.png")}]
    }
    before = [{first: {}}, {second: {"min_value": 90.0}}]
    curate(request(tmp_path, out, **plain, filters=before), silent)
    assert ran(tmp_path) == {"First": 6, "Second": 6}
    cuts: list[Any] = []
    cut = MediaWorker.cut
    monkeypatch.setattr(MediaWorker, "cut", lambda self, *span: (cuts.append(span), cut(self, *span))[1])
    after = [{first: {"scale": 2.0}}, {second: {"min_value": 90.0}}]
    curate(request(tmp_path, out, **plain, filters=after, run_id="two"), silent)
    assert ran(tmp_path) == {"First": 6}
    assert cuts == []
    curate(request(tmp_path, other, **plain, filters=after), silent)
    assert everything(open_dataset(str(out))) == everything(open_dataset(str(other)))


def test_a_clip_that_is_rejected_by_a_known_score_is_not_measured(
    here: None, tmp_path: Path, videos: Path, rules: tuple[str, str]
) -> None:
    """Only clips that get as far as the filter that changed are measured by it."""
    first, second = rules
    out = tmp_path / "dataset"
    plain: dict[str, Any] = {"sources": [{"file": str(videos / "bikes.mp4")}]}
    curate(request(tmp_path, out, **plain, filters=[{first: {"min_value": 100.0}}, second]), silent)
    some = ran(tmp_path)
    assert 0 < some["Second"] < some["First"]
    rules_now = [{first: {"min_value": 100.0}}, {second: {"scale": 3.0}}]
    curate(request(tmp_path, out, **plain, filters=rules_now), silent)
    assert ran(tmp_path) == {"Second": some["Second"]}
