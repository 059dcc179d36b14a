from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from training.run import Run, append, entries, first_and_last, rewind, tail


def entry(phase: str, step: int, kind: str = "step") -> dict[str, Any]:
    """A line of the log."""
    return {"kind": kind, "phase": phase, "step": step, "loss": float(step)}


LOG = [
    entry("stage-1", 0, "probe"),
    entry("stage-1", 1),
    entry("stage-1", 2),
    entry("stage-1", 2, "probe"),
    entry("stage-2-align", 0, "probe"),
    entry("stage-2-align", 1),
]


def write_log(path: Path) -> None:
    """The log of a run that ended in its second stage."""
    for line in LOG:
        append(path, line)


def test_rewinding_drops_what_came_after_the_checkpoint(tmp_path: Path) -> None:
    """Each step stands in the log once, whatever was killed between; the closing probe is made again."""
    log = tmp_path / "metrics.jsonl"
    for phase, step, remaining in [("stage-2-align", 0, 5), ("stage-1", 2, 3), ("stage-1", -1, 0)]:
        log.unlink(missing_ok=True)
        write_log(log)
        rewind(log, phase, step)
        assert entries(log) == LOG[:remaining]


def test_a_line_that_was_cut_short_does_not_count(tmp_path: Path) -> None:
    """Neither for who reads, nor for who follows, nor after a rewind."""
    log = tmp_path / "metrics.jsonl"
    write_log(log)
    whole = log.stat().st_size
    with log.open("a") as file:
        file.write('{"kind": "st')
    assert entries(log) == LOG
    assert tail(log, 0) == (LOG, whole)
    rewind(log, "stage-3", 5)
    assert log.stat().st_size == whole


def test_losses_before_and_after_a_phase_are_the_probes(tmp_path: Path) -> None:
    """A training step's own loss is of other samples and times: it does not compare."""
    assert first_and_last(LOG, "stage-1") == (0.0, 2.0)
    assert first_and_last(LOG, "stage-3") == (None, None)


def test_a_stage_starts_from_the_one_before_it(tmp_path: Path) -> None:
    """A stage counts once its record is there; without any, the initial model is the base."""
    run = Run(tmp_path)
    assert run.base("1") == run.base("2") == tmp_path / "init"
    (tmp_path / "stage-1").mkdir()
    run.finish("1", {"phases": [{"name": "stage-1"}]})
    assert run.base("2") == tmp_path / "stage-1" / "model"
    assert run.summary() == {
        "run": str(tmp_path),
        "stages": [{"name": "stage-1"}],
        "model": str(tmp_path / "model"),
    }
    assert json.loads((tmp_path / "summary.json").read_text()) == run.summary()
