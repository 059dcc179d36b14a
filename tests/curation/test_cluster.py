"""Runs on a Ray cluster and as a job of their own, killed and told what is wrong."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from curation import engine
from curation.dataset import open_dataset
from curation.errors import InputError
from curation.events import PREFIX
from curation.run import curate

from .whole_run import FUNNEL, active_files, data_files, request, rows_of, silent


def test_first_run_accounts_for_every_file_on_a_cluster(
    ray_session: None, media: Path, tmp_path: Path
) -> None:
    """A first run publishes version 0 with every input, kept media included, and leaves nothing else."""
    out = tmp_path / "dataset"
    events: list[dict[str, Any]] = []
    result = curate(request(media, out), events.append)
    assert result["funnel"] == FUNNEL
    assert (result["version"], result["reused"], result["published"]) == (0, 0, True)
    assert {event["stage"] for event in events if event.get("done")} == {
        *("sources", "split", "filters", "dedup", "caption", "shards")
    }
    dataset = open_dataset(str(out))
    found = {Path(row["uri"]).name: row for row in dataset.table().to_pylist()}
    assert {name: (row["verdict"], row["reason"]) for name, row in found.items()} == {
        "broken.mp4": ("error", found["broken.mp4"]["reason"]),
        "carphone_distorted.mp4": ("duplicate", "near_duplicate"),
        "carphone_pristine.mp4": ("kept", None),
        "coins.png": ("kept", None),
        "notes.txt": ("error", "not_media"),
        "rocket.jpg": ("kept", None),
        "same-coins.png": ("duplicate", "exact_duplicate"),
        "text.png": ("kept", None),
    }
    assert found["notes.txt"]["filter"] == "decode"
    assert found["notes.txt"]["detail"]
    assert found["carphone_distorted.mp4"]["scores"]["dedup_hamming"] == pytest.approx(2.4)
    kept = dataset.table(["media", "media_format", "caption", "captioner"], "verdict = 'kept'").to_pylist()
    assert all(row["media"] and row["media_format"] and row["caption"] and row["captioner"] for row in kept)
    assert data_files(out) == active_files(out)
    assert dataset.metadata["funnel"] == FUNNEL
    assert dataset.metadata["run_id"] == "one"


def test_killed_job_goes_on(
    ray_session: None, media: Path, tmp_path: Path, videos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After SIGKILL amid judging, the same job repeats no finished file and ends as if never killed."""
    import ray

    for copy in range(4):
        (media / f"bikes{copy}.mp4").write_bytes((videos / "bikes.mp4").read_bytes() + bytes(copy + 1))
    out = tmp_path / "dataset"
    job = request(media, out, filters=["duration", "motion"])
    (tmp_path / "request.json").write_text(job.model_dump_json())
    command = [sys.executable, "-m", "curation.job", str(tmp_path / "request.json")]
    address = ray.get_runtime_context().gcs_address
    environment = {
        **os.environ,
        "RAY_ADDRESS": address,
        "PYTHONPATH": str(Path(engine.__file__).parent.parent),
    }

    judged = out / "_staging" / job.recipe_sha256()[:16] / "judged"
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL) as first:
        while first.poll() is None and len(list(judged.glob("*.parquet"))) < 3:
            time.sleep(0.02)
        first.send_signal(signal.SIGKILL)
    assert not (out / "_delta_log").exists()
    time.sleep(1.0)  # the cluster ends what the killed job had running
    finished = len(list(judged.glob("*.parquet")))
    assert finished >= 3

    second = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    events = [json.loads(line.removeprefix(PREFIX)) for line in second.stdout.splitlines() if PREFIX in line]
    split = [event for event in events if event.get("stage") == "split"][-1]
    assert finished <= split["reused"] < split["in"]  # a file in hand at the kill may still end
    assert events[-1]["event"] == "result"
    assert {event["run_id"] for event in events} == {"one"}
    failed = open_dataset(str(out)).table(["sample_id"], "verdict = 'error'")["sample_id"].to_pylist()
    assert {event["sample_id"] for event in events if event["event"] == "sample"} == set(failed)
    assert data_files(out) == active_files(out)
    whole = tmp_path / "whole"
    monkeypatch.setattr(engine, "each", lambda make, inputs, pool=None: map(make(), inputs))
    curate(request(media, whole, filters=["duration", "motion"]), silent)
    assert rows_of(open_dataset(str(out))) == rows_of(open_dataset(str(whole)))


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"sources": [{"folder": "/nowhere"}]}, "folder /nowhere does not exist"),
        ({"out": "/proc/dataset"}, "/proc/dataset cannot be written"),
        ({"filters": ["motoin"]}, "motoin"),
        ({"surces": []}, "surces"),
    ],
)
def test_bad_input_is_one_event_and_exit_code_2(
    media: Path, tmp_path: Path, change: dict[str, Any], what: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """The job says what is wrong, where and what to do, in one event, before any work."""
    from curation.job import main

    plain = request(media, tmp_path / "dataset").model_dump(mode="json")
    (tmp_path / "request.json").write_text(json.dumps({**plain, **change}))
    assert main([str(tmp_path / "request.json")]) == 2
    (line,) = capfd.readouterr().out.splitlines()
    event = json.loads(line.removeprefix(PREFIX))
    assert event["event"] == "error"
    assert event["kind"] == "input"
    assert what in event["what"]
    assert event["step"]
    assert event["next"]
    assert not (tmp_path / "dataset" / "_delta_log").exists()


def test_input_error_comes_out_of_the_cluster(ray_session: None) -> None:
    """A filter that cannot work at all stops the run as the user's input error that it is."""
    with pytest.raises(InputError) as caught:
        list(engine.each(_Refuses, [1, 2, 3]))
    assert (caught.value.what, caught.value.next_step) == ("no weights", "install them")


class _Refuses:
    def __call__(self, one: int) -> int:
        raise InputError("no weights", "filters", "install them")
