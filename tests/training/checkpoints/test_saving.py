from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from training.checkpoints import checkpoint
from training.checkpoints.saving import Keep, Saver
from training.config import StageSection
from training.parallel.engine import Engine
from training.parallel.team import Team


@pytest.fixture
def engine(team: Team) -> Iterator[Engine]:
    """Of a network of two numbers."""
    engine = Engine(torch.nn.Linear(2, 1, bias=False), StageSection(learning_rate=0.1), team.device)
    yield engine
    engine.close()


def advance(engine: Engine) -> list[float]:
    """Take a step; return the weights before it."""
    before: list[float] = engine.shard()["0.weight"].tolist()
    engine.backward(engine.losses(torch.ones(1, 2)).float().pow(2).sum())
    engine.step(0.1)
    return before


class Gate:
    """Stands for `checkpoint.write`."""

    def __init__(self, error: OSError | None = None) -> None:
        self.open, self._error, self._write = threading.Event(), error, checkpoint.write

    def __call__(self, *inputs: Any) -> tuple[str, str]:
        """Hold back a shard's writing until the gate is opened, or fail it."""
        return self._once_open(*inputs)

    def _once_open(self, *inputs: Any) -> tuple[str, str]:
        self.open.wait()
        if self._error:
            raise self._error
        return self._write(*inputs)


def make_saver(root: Path, engine: Engine, team: Team) -> tuple[Saver, list[tuple[int, str]]]:
    """A saver that keeps two, and what it reports."""
    said: list[tuple[int, str]] = []
    saver = Saver(root, "stage-1", engine, team, Keep(2, 0), lambda step, why: said.append((step, why)))
    return saver, said


def test_training_goes_on_while_a_snapshot_is_written(
    engine: Engine, team: Team, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is saved is the state when it was taken, and it counts once it is sealed."""
    gate = Gate()
    monkeypatch.setattr(checkpoint, "write", gate)
    saver, said = make_saver(tmp_path, engine, team)
    saver.start(1)
    expected = advance(engine)
    assert not saver.written
    assert checkpoint.latest(tmp_path, ["stage-1"]) is None
    gate.open.set()
    assert saver.complete() is None
    found = checkpoint.latest(tmp_path, ["stage-1"])
    assert found is not None
    assert found.shards()[0]["0.weight"][:].tolist() == expected != engine.shard()["0.weight"].tolist()
    assert saver.restore(found) == 1
    assert engine.shard()["0.weight"].tolist() == expected
    assert said == []


def test_a_write_that_fails_is_reported_and_the_one_before_counts(
    engine: Engine, team: Team, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk stops neither training nor the next snapshot; each failure is told once, with its step."""
    saver, said = make_saver(tmp_path, engine, team)
    saver.start(1)
    saver.complete()
    full = Gate(OSError(28, "No space left on device"))
    full.open.set()
    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "write", full)
        saver.start(2)
        assert "No space left" in (saver.complete() or "")
    assert [(step, "No space left on device" in why) for step, why in said] == [(2, True)]
    found = checkpoint.latest(tmp_path, ["stage-1"])
    assert found is not None
    assert found.manifest.step == 1
    saver.start(3)
    assert saver.complete() is None
    assert {c.manifest.step for f in tmp_path.iterdir() if (c := checkpoint.read(f))} == {1, 3}


def test_one_snapshot_is_written_at_a_time(
    engine: Engine, team: Team, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second waits for the first, which is then sealed."""
    gate = Gate()
    monkeypatch.setattr(checkpoint, "write", gate)
    saver, _ = make_saver(tmp_path, engine, team)
    saver.start(1)
    threading.Timer(0.01, gate.open.set).start()
    saver.start(2)
    found = checkpoint.latest(tmp_path, ["stage-1"])
    assert found is not None
    assert found.manifest.step >= 1
    assert saver.complete() is None
