"""Two runs on one dataset at once, as two processes."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import fsspec
import pytest
from s3fs import S3FileSystem

from curation.dataset import open_dataset
from curation.store import lease
from curation.store.lease import leased_if_free
from curation.stores import place
from tests.curation.sources.conftest import BUCKET
from tests.curation.whole_run import active_files, data_files, request
from tests.drills.stall import stalling

RUN = """
import sys
from pathlib import Path
from curation import engine
from curation.config import CurateRequest
from curation.run import curate

engine.each = lambda make, inputs, pool=None: map(make(), inputs)
request = CurateRequest.model_validate_json(Path(sys.argv[1]).read_text())
print("ready", flush=True)
sys.stdin.readline()
print(curate(request, lambda event: None)["version"])
"""
HOLD = """
import sys
from curation.store.lease import leased

with leased(sys.argv[1], "recipe", lambda: None):
    print("held", flush=True)
    sys.stdin.read()
"""


def start(code: str, argument: object) -> subprocess.Popen[str]:
    """A process of its own that has said its first line."""
    command = [sys.executable, "-c", code, str(argument)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline()
    return process


def together(requests: list[Path]) -> list[int]:
    """Run requests at once, each in a process; return the versions they ended with."""
    runs = [start(RUN, path) for path in requests]
    for run in runs:
        assert run.stdin is not None
        run.stdin.write("go\n")
        run.stdin.flush()
    return [int(run.communicate(timeout=200)[0]) for run in runs]


@pytest.mark.parametrize("same_recipe", [True, False])
def test_two_runs_at_once_lose_and_double_nothing(media: Path, tmp_path: Path, same_recipe: bool) -> None:
    """Of one recipe the second waits and finds all done; of two recipes both commit, each file once."""
    out = tmp_path / "dataset"
    filters: list[Any] = [["duration"], ["duration"] if same_recipe else ["aspect_ratio"]]
    (media / "broken.mp4").unlink()
    jobs = []
    for number, chosen in enumerate(filters):
        jobs.append(tmp_path / f"{number}.json")
        jobs[-1].write_text(request(media, out, filters=chosen, run_id=str(number)).model_dump_json())
    versions = together(jobs)
    rows = open_dataset(str(out)).table(["sample_id", "uri"]).to_pylist()
    assert len(rows) == 7
    assert len({row["sample_id"] for row in rows}) == len({row["uri"] for row in rows}) == 7
    assert sorted(versions) == ([0, 0] if same_recipe else [0, 1])
    files = data_files(out)
    assert files == active_files(out) if same_recipe else files > active_files(out)


@pytest.mark.parametrize("store", ["disk", "s3"])
def test_a_killed_runs_lease_is_free(
    store: str, s3: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While its holder lives nobody else gets it; after kill -9 the next one does."""
    dataset = str(tmp_path) if store == "disk" else f"s3://{BUCKET}/dataset"
    monkeypatch.setattr(lease, "STALE_SECONDS", -1.0)  # for who looks on: no beat is fresh enough
    holder = start(HOLD, dataset)
    if store == "disk":
        with leased_if_free(dataset, "recipe") as free:
            assert not free
    holder.send_signal(signal.SIGKILL)
    holder.communicate()
    with leased_if_free(dataset, "recipe") as free:
        assert free
    with leased_if_free(dataset, "recipe") as free:
        assert free


def test_a_lease_in_a_store_is_not_taken_while_fresh(s3: Any) -> None:
    """A second taker gets it neither while the first holds it, nor keeps the first from giving it back."""
    dataset = f"s3://{BUCKET}/dataset"
    with leased_if_free(dataset, "recipe") as first, leased_if_free(dataset, "recipe") as second:
        assert first
        assert not second
    assert "Contents" not in s3.list_objects_v2(Bucket=BUCKET)


def test_a_lease_that_was_taken_over_says_so(s3: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A holder that did not renew its lease in time learns that it is another's, and leaves it there."""
    monkeypatch.setattr(lease, "STALE_SECONDS", -1.0)
    monkeypatch.setattr(lease, "BEAT_SECONDS", 0.01)
    at = place(f"s3://{BUCKET}/dataset/{lease.LEASE}recipe")
    first, second = lease._InStore(at, True), lease._InStore(at, True)
    assert first.take()
    while not second.take():
        continue  # the first one was faster with its beat
    first._thread.join()
    assert first.lost
    first.release()
    assert s3.list_objects_v2(Bucket=BUCKET)["KeyCount"] == 1
    second.release()


def test_a_store_that_does_not_answer_a_beat_is_told_of_once(
    s3: Any, s3_server: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """However many beats fail in a row, one warning names the lease; the lease itself is not lost."""
    monkeypatch.setattr(lease, "BEAT_SECONDS", 0.01)
    monkeypatch.setattr(S3FileSystem, "retries", 1)
    monkeypatch.setitem(fsspec.config.conf, "s3", {"config_kwargs": {"retries": {"max_attempts": 1}}})
    beats = threading.Semaphore(0)
    with stalling(int(s3_server.rpartition(":")[2]), b"never") as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.url)
        S3FileSystem.clear_instance_cache()
        at = place(f"s3://{BUCKET}/dataset/{lease.LEASE}recipe")
        ask = at.fs.info
        monkeypatch.setattr(at.fs, "info", lambda path: (beats.release(), ask(path))[1])
        held = lease._InStore(at, True)
        assert held.take()
    for _ in range(beats._value + 3):
        beats.acquire()
    held.release()
    (told,) = [record for record in caplog.records if record.name == lease.__name__]
    assert told.levelname == "WARNING"
    assert "_lease-recipe" in told.getMessage()
    assert not held.lost
