"""The log of a job, for people and for machines."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipelines.joblog import VARIABLE, JobLog
from pipelines.jobs import parse_event

LINES = ('@omnivideo {"event": "sample", "sample_id": "5f", "reason": "truncated"}', 'noise "ü"', "")


def logged(path: Path) -> Path:
    """The file that the lines went into."""
    with JobLog(path, "curation.job", "20261122") as log:
        for line in LINES:
            log.write(line, parse_event(line))
    return log.path


def test_lines_come_as_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Unless something else is asked for, the log is the job's output."""
    monkeypatch.delenv(VARIABLE, raising=False)
    assert logged(tmp_path / "run.log").read_text().splitlines() == list(LINES)


def test_json_lines_name_the_run_and_the_sample(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each line is an object: time, job and run, then the event's own fields or what was printed."""
    monkeypatch.setenv(VARIABLE, "json")
    path = logged(tmp_path / "run.log")
    assert path.name == "run.jsonl"
    found = [json.loads(line) for line in path.read_text().splitlines()]
    assert {(one["job"], one["run_id"]) for one in found} == {("curation.job", "20261122")}
    assert (found[0]["event"], found[0]["sample_id"]) == ("sample", "5f")
    assert [one["text"] for one in found[1:]] == list(LINES[1:])
