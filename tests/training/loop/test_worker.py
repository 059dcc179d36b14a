"""Whole runs of the tiny model in this process: what a stage changes, and what an interruption does not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from omnivideo.errors import InputError
from tests.training.conftest import tiny_request
from training.config import TrainRequest
from training.data.samples import View
from training.encoding.encoders import Encoders
from training.errors import TrainingError
from training.loop.phase import PhaseLoop
from training.loop.worker import train
from training.parallel.team import Team
from training.run import TIMED, Run, entries

STEPS = 3
TRAINED = {
    "stage-1": {"vision_head", "text_head"},
    "stage-2": {"adapter"},
    "stage-3": {"vision_head", "adapter", "dit"},
}


def request_to(out: Path, data: str, **changes: Any) -> TrainRequest:
    """All stages, three steps a phase, a checkpoint every second."""
    return tiny_request(data, out, STEPS, cluster={"num_workers": 1}, **changes)


def weights(model: Path) -> dict[str, bytes]:
    """Bytes of each part's weights."""
    return {path.parent.name: path.read_bytes() for path in model.glob("*/*.safetensors")}


def steps_of(run: Run) -> list[dict[str, Any]]:
    """The log without what depends on the clock."""
    return [{k: v for k, v in entry.items() if k not in TIMED} for entry in entries(run.metrics)]


@pytest.fixture(scope="module")
def finished(dataset: str, team: Team, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run that nothing interrupted."""
    out = tmp_path_factory.mktemp("runs") / "finished"
    train(request_to(out, dataset), team)
    return Run(out)


def test_each_stage_changes_its_own_parts_and_no_others(finished: Run) -> None:
    """Trained parts change, frozen ones are the same bytes; so it stands in the stage's record too."""
    before = finished.init
    for stage, parts in TRAINED.items():
        after = finished.root / stage / "model"
        old, new = weights(before), weights(after)
        assert {part for part in old if old[part] != new[part]} == parts
        record = json.loads((finished.root / stage / "stage.json").read_text())
        assert (
            {p for p in old if record["before"][p] != record["after"][p]} == parts == set(record["trained"])
        )
        before = after
    assert weights(finished.model) == weights(before)


def test_each_model_says_where_it_comes_from(finished: Run) -> None:
    """A stage's model has a card and a lineage file with the phases so far and its encoders' hashes."""
    seen = []
    for stage in TRAINED:
        folder = finished.root / stage / "model"
        lineage = json.loads((folder / "lineage.json").read_text())
        seen.append([phase["name"] for phase in lineage["stages"]])
        assert lineage["encoders"]
        assert "## Lineage" in (folder / "README.md").read_text()
    assert seen[0] == ["stage-1"]
    assert seen[-1] == ["stage-1", "stage-2-align", "stage-2-flow", "stage-3"]


def test_every_part_of_a_stage_learns(finished: Run) -> None:
    """Most tensors of a trained part differ after its stage: none is left out of the optimiser."""
    from safetensors.torch import load_file

    for before, stage, part in [
        ("init", "stage-1", "vision_head"),
        ("stage-1/model", "stage-2", "adapter"),
        ("stage-2/model", "stage-3", "dit"),
        ("stage-2/model", "stage-3", "vision_head"),
    ]:
        files = [next((finished.root / f / part).glob("*.safetensors")) for f in (before, f"{stage}/model")]
        old, new = (load_file(file) for file in files)
        still = [name for name in old if torch.equal(old[name], new[name])]
        assert len(still) <= len(old) // 10, f"{part} in {stage}: {still}"


def test_the_log_says_what_each_step_did(finished: Run) -> None:
    """Losses by task and kind, gradient norm, rate, time and share of waiting, for every step."""
    log = entries(finished.metrics)
    steps = [entry for entry in log if entry["kind"] == "step"]
    assert [entry["step"] for entry in steps] == [1, 2, 3] * 4
    for entry in steps:
        assert entry["loss"] > 0
        assert entry["grad_norm"] > 0
        assert 0 <= entry["data_wait"] <= 1
        assert entry["seconds"] > 0
        assert entry["learning_rate"] == 1e-3
    assert {"vision", "text"} == set(steps[0]["losses"]) | set(steps[1]["losses"])
    assert [entry["phase"] for entry in log if entry["kind"] == "probe" and "parameters" in entry] == [
        "stage-1",
        "stage-2-align",
        "stage-2-flow",
        "stage-3",
    ]


def test_losses_fall_where_there_is_something_to_learn(finished: Run) -> None:
    """On the same samples, noise and times, the first stage's loss is lower after it than before."""
    stages = {stage["name"]: stage for stage in finished.summary()["stages"]}
    assert stages["stage-1"]["last_loss"] < stages["stage-1"]["first_loss"]
    assert stages["stage-2-align"]["last_loss"] < stages["stage-2-align"]["first_loss"]
    assert [stage["steps"] for stage in stages.values()] == [STEPS] * 4


def test_an_interrupted_run_ends_as_if_it_had_not_been(
    finished: Run, dataset: str, team: Team, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed before, at and after checkpoints: the same losses to the last bit, the same model."""
    run, real = Run(tmp_path / "run"), PhaseLoop._step
    left = iter([1, 4, 3, 2, 10_000])
    budget = 0

    def step(self: PhaseLoop, number: int) -> None:
        nonlocal budget
        if budget == 0:
            raise KeyboardInterrupt
        budget -= 1
        real(self, number)

    monkeypatch.setattr(PhaseLoop, "_step", step)
    kills = 0
    for budget in left:  # noqa: B007  # read by `step`
        try:
            train(request_to(run.root, dataset), team)
        except KeyboardInterrupt:
            kills += 1
    assert kills == 4
    assert steps_of(run) == steps_of(finished)
    assert weights(run.model) == weights(finished.model)


def test_a_finished_run_is_left_alone(finished: Run, dataset: str, team: Team) -> None:
    """Training again into its folder takes no step and writes no model."""
    before = {path: path.stat().st_mtime_ns for path in finished.root.rglob("*.safetensors")}
    log = finished.metrics.read_bytes()
    train(request_to(finished.root, dataset), team)
    assert {path: path.stat().st_mtime_ns for path in finished.root.rglob("*.safetensors")} == before
    assert finished.metrics.read_bytes() == log


def test_a_frozen_part_that_moves_stops_the_stage(
    dataset: str, team: Team, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The stage is not recorded, its model not written, and the part is named."""
    real = PhaseLoop._step

    def step(self: PhaseLoop, number: int) -> None:
        real(self, number)
        with torch.no_grad():
            next(self.trainee.model.vae.parameters()).mul_(1.001)

    monkeypatch.setattr(PhaseLoop, "_step", step)
    with pytest.raises(TrainingError, match="changed during stage 1: vae"):
        train(request_to(tmp_path, dataset), team)
    assert not (tmp_path / "stage-1").exists()


def test_a_sample_that_gives_nan_is_named_and_its_step_skipped(
    dataset: str, team: Team, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Training goes on without the step; after too many in a row it stops, naming the samples."""
    real = Encoders.look

    def look(self: Encoders, view: View, *more: Any) -> Any:
        tensors = real(self, view, *more)
        poisoned = view.sample_id in poison
        return {name: tensor * float("nan") if poisoned else tensor for name, tensor in tensors.items()}

    monkeypatch.setattr(Encoders, "look", look)
    poison = {f"text_to_image-{n:03d}" for n in range(6)}
    train(request_to(tmp_path / "a", dataset, only_stage="1"), team)
    skipped = [entry for entry in entries(tmp_path / "a" / "metrics.jsonl") if entry["kind"] == "skipped"]
    assert skipped
    assert all(set(entry["sample_ids"]) <= poison for entry in skipped)
    assert Run(tmp_path / "a").record("1") is not None
    poison |= {f"text_to_video-{n:03d}" for n in range(5)}
    request = request_to(tmp_path / "b", dataset, only_stage="1")
    strict = request.stages.model_copy(update={"max_skipped_steps": 1})
    with pytest.raises(TrainingError, match="no finite gradients in 2 steps; last samples: text_to_"):
        train(request.model_copy(update={"stages": strict}), team)


def test_two_commands_do_not_train_into_one_folder(
    finished: Run, dataset: str, team: Team, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second waits for the lock for a while, then says what is the matter."""
    import fcntl

    monkeypatch.setattr("training.loop.worker.LOCK_SECONDS", 0.3)
    with finished.lock.open("a") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        with pytest.raises(InputError, match=r"another command \(process \d+ on .*\) trains into"):
            train(request_to(finished.root, dataset), team)
