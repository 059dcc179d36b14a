from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from curation.errors import InputError, MediaError
from curation.filters import parse
from curation.media.child import Limits, MediaWorker
from curation.media.records import ScanRequest

BEHAVE = '''"""Rejects nothing. Source: a test."""
import os, signal, time
from typing import ClassVar
from curation.errors import InputError
from curation.filters import Clip, Cost, Filter

class Behave(Filter):
    cost: ClassVar = Cost.PROBE
    scores: ClassVar = ("value",)
    thresholds: ClassVar = {}
    how: str = "well"

    def measure(self, clip: Clip) -> dict[str, float]:
        if self.how == "crash":
            os.kill(os.getpid(), signal.SIGSEGV)
        if self.how == "hang":
            time.sleep(600)
        if self.how == "slow":
            time.sleep(0.9)
        if self.how == "eat":
            bytearray(8 << 30)
        if self.how == "ask":
            raise InputError("no model", "filters", "install it")
        if self.how == "print":
            print("noise on standard output", flush=True)
        return {"value": 1.0}
'''


@pytest.fixture
def behave(tmp_path: Path) -> str:
    """The path of a filter that does as it is told."""
    path = tmp_path / "behave.py"
    path.write_text(BEHAVE)
    return str(path)


@pytest.fixture(scope="module")
def worker() -> Iterator[MediaWorker]:
    """One worker for all tests that leave it as it was."""
    with MediaWorker(Limits(timeout_seconds=60)) as shared:
        yield shared


def asked(behave: str, how: str) -> ScanRequest:
    """A request whose filter behaves in this way."""
    return ScanRequest(filters=parse([{behave: {"how": how}}]))


def test_it_scans_and_cuts(worker: MediaWorker, videos: Path, images: Path) -> None:
    """One child judges and cuts videos and images, one after the other."""
    clip = worker.scan(videos / "bikes.mp4", ScanRequest()).clips[1]
    span = (clip["start_s"], clip["end_s"], clip["num_frames"])
    data, form, *_ = worker.cut(videos / "bikes.mp4", "video", *span)
    assert (form, data[4:8]) == ("mp4", b"ftyp")
    assert worker.scan(images / "coffee.png", ScanRequest()).kind == "image"
    assert worker.cut(images / "coffee.png", "image", 0, 0, 1) == (
        (images / "coffee.png").read_bytes(),
        "png",
        True,
        None,
    )


def test_errors_come_through(worker: MediaWorker, tmp_path: Path, behave: str, images: Path) -> None:
    """A file's error keeps its slug, and the user's error stops as itself."""
    (tmp_path / "notes.txt").write_text("words")
    with pytest.raises(MediaError, match="not_media"):
        worker.scan(tmp_path / "notes.txt", ScanRequest())
    with pytest.raises(InputError, match="no model"):
        worker.scan(images / "coffee.png", asked(behave, "ask"))


def test_what_prints_does_not_disturb(worker: MediaWorker, behave: str, images: Path) -> None:
    """A library that writes to standard output does not break the connection."""
    assert worker.scan(images / "coffee.png", asked(behave, "print")).clips[0]["scores"] == {
        "behave_value": 1.0
    }


def test_a_crash_is_one_files_error(behave: str, images: Path) -> None:
    """When decoding kills the child, that file is an error and the next one is judged by a new child."""
    with MediaWorker() as worker:
        for _ in range(2):
            with pytest.raises(MediaError, match="crashed: decoding ended by signal SIGSEGV"):
                worker.scan(images / "coffee.png", asked(behave, "crash"))
            assert worker.scan(images / "coffee.png", ScanRequest()).clips


def test_a_child_killed_by_others_is_replaced(images: Path) -> None:
    """A child that dies between two files costs neither of them."""
    with MediaWorker() as worker:
        worker.scan(images / "coffee.png", ScanRequest())
        assert worker._process is not None
        os.kill(worker._process.pid, signal.SIGKILL)
        assert worker.scan(images / "coffee.png", ScanRequest()).clips


def test_a_hang_is_a_timeout(behave: str, images: Path) -> None:
    """A file that takes longer than the limit is an error, and its child is gone."""
    with MediaWorker(Limits(timeout_seconds=3)) as worker:
        worker.scan(images / "coffee.png", ScanRequest())
        assert worker._process is not None
        pid = worker._process.pid
        with pytest.raises(MediaError, match="timeout: no sign of life for 3 s"):
            worker.scan(images / "coffee.png", asked(behave, "hang"))
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_a_long_film_is_no_hang(behave: str, videos: Path) -> None:
    """A film that takes longer than the limit is judged as long as its frames keep coming, up to a point."""
    with MediaWorker(Limits(timeout_seconds=4)) as worker:
        assert len(worker.scan(videos / "bikes.mp4", asked(behave, "slow")).clips) == 6
    limits = Limits(timeout_seconds=4, longest_seconds=1)
    with MediaWorker(limits) as worker, pytest.raises(MediaError, match="timeout: no answer within 1 s"):
        worker.scan(videos / "bikes.mp4", asked(behave, "slow"))


def test_memory_is_limited(worker: MediaWorker, behave: str, images: Path) -> None:
    """Asking for more memory than the limit is an error of that file, not of the machine."""
    with pytest.raises(MediaError, match="out_of_memory"):
        worker.scan(images / "coffee.png", asked(behave, "eat"))
    assert worker.scan(images / "coffee.png", ScanRequest()).clips


def test_pixels_are_limited(videos: Path) -> None:
    """The limit on pixels reaches the child."""
    with MediaWorker(Limits(max_pixels=1000)) as worker, pytest.raises(MediaError, match="too_many_pixels"):
        worker.scan(videos / "bikes.mp4", ScanRequest())


def test_no_child_outlives_its_parent(images: Path) -> None:
    """When the parent is killed, the child ends by itself."""
    code = f"""
from curation.media.child import MediaWorker
from curation.media.records import ScanRequest
worker = MediaWorker()
worker.scan({str(images / "coffee.png")!r}, ScanRequest())
print(worker._process.pid, flush=True)
import os; os.kill(os.getpid(), 9)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout, done.stderr
    pid = int(done.stdout)
    import time

    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and Path(f"/proc/{pid}/stat").exists():
        if Path(f"/proc/{pid}/stat").read_text().split()[2] == "Z":
            break
        time.sleep(0.1)
    else:
        assert not Path(f"/proc/{pid}").exists()


def test_the_parent_loads_no_decoder() -> None:
    """Holding a worker imports none of the libraries that touch media."""
    code = "import sys, curation.media.child; print(' '.join(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert not {"av", "cv2", "PIL", "numpy", "scenedetect"} & set(loaded.split())
