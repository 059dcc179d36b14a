"""A long film whose scan is killed: what was judged is not judged again, and the rows are the same."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import curation
from curation.filters import parse
from curation.media.child import Limits, MediaWorker
from curation.media.records import ScanRequest
from curation.sources import Item
from curation.split import SplitConfig
from curation.steps import judge as judging
from curation.steps.judge import JUDGED, PART, Judge, Outcome
from curation.store.staging import Staging

CLIPS = 13  # of bikes.mp4 in parts of a second
REQUEST = ScanRequest(SplitConfig(max_seconds=1.0), parse(["duration", "motion", "quality"])).to_json()
AT_ONCE = partial(MediaWorker, Limits(part_seconds=0))


def judge(staging: Staging, film: Path) -> Outcome:
    """Judge one file."""
    return Judge(staging, REQUEST)(Item(str(film), "test", None, 0))


def judged(staging: Staging) -> list[dict[str, Any]]:
    """All that is staged of the one file."""
    (table,) = staging.read(JUDGED, staging.names(JUDGED))
    rows: list[dict[str, Any]] = table.to_pylist()
    return rows


@pytest.fixture
def film(videos: Path) -> Path:
    """Ten seconds with five shots."""
    return videos / "bikes.mp4"


@pytest.fixture
def whole(tmp_path: Path, film: Path) -> list[dict[str, Any]]:
    """The film's rows when nothing happens to it."""
    staging = Staging(str(tmp_path / "whole"), "recipe")
    judge(staging, film)
    rows = judged(staging)
    assert len(rows) == CLIPS
    return rows


def test_a_scan_that_dies_anywhere_goes_on_there(
    tmp_path: Path, film: Path, whole: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """After however many clips a scan ends, the next judges the others, and all rows are as if it had not."""
    scanned: list[int] = []

    class Counting(MediaWorker):
        def scan(self, *asked: Any) -> Any:
            found = super().scan(*asked)
            scanned.append(len(found.clips))
            return found

    for last in (1, 4, CLIPS - 1):
        staging = _Dying(str(tmp_path / f"dataset{last}"), "recipe")
        staging.left = last
        with monkeypatch.context() as dying:
            dying.setattr(judging, "MediaWorker", AT_ONCE)
            with pytest.raises(KeyboardInterrupt):
                judge(staging, film)
        monkeypatch.setattr(judging, "MediaWorker", Counting)
        assert judge(Staging(staging.dataset, "recipe"), film)["state"] == "judged"
        assert scanned.pop() == CLIPS - last
        assert judged(staging) == whole
        assert not staging.names(PART)


def test_a_killed_worker_leaves_what_it_has_judged(
    tmp_path: Path, film: Path, whole: list[dict[str, Any]]
) -> None:
    """SIGKILL amid a file leaves its judged clips, and the rows that follow are the same."""
    out = str(tmp_path / "dataset")
    code = f"""
import sys
from curation.steps import judge
from curation.sources import Item
from curation.store.staging import Staging
from curation.media.child import Limits, MediaWorker
judge.MediaWorker = lambda: MediaWorker(Limits(part_seconds=0))
class Telling(Staging):
    def write(self, stage, name, table):
        super().write(stage, name, table)
        print(stage, flush=True)
judge.Judge(Telling({out!r}, "recipe"), {REQUEST!r})(Item({str(film)!r}, "test", None, 0))
"""
    root = str(Path(curation.__file__).parent.parent)
    environment = {**os.environ, "PYTHONPATH": root}
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env=environment
    ) as run:
        assert run.stdout is not None
        for _ in range(3):
            assert run.stdout.readline().strip() == PART
        run.send_signal(signal.SIGKILL)
    staging = Staging(out, "recipe")
    assert len(staging.names(PART)) >= 3
    judge(staging, film)
    assert judged(staging) == whole


class _Dying(Staging):
    """A staging whose process ends after so many parts."""

    left = 0

    def write(self, stage: str, name: str, table: pa.Table) -> None:
        """Write, and end."""
        super().write(stage, name, table)
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt
