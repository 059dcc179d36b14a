from __future__ import annotations

import json
import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from omnivideo.errors import InputError
from tests.training.conftest import tiny_request
from training import job, launch
from training.config import TrainRequest
from training.errors import TrainingError
from training.events import PREFIX
from training.loop.worker import train
from training.parallel.team import Team
from training.run import Run, entries


@pytest.fixture
def in_process(team: Team, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Train in this process instead of Ray's workers; returns the folders it was asked to train into."""
    launched: list[str] = []

    def instead(request: TrainRequest, run: Run) -> None:
        launched.append(str(run.root))
        train(request, team)

    monkeypatch.setattr("ray.is_initialized", lambda: True)
    monkeypatch.setattr(launch, "launch", instead)
    return launched


def call(request: TrainRequest, capsys: pytest.CaptureFixture[str]) -> tuple[int, list[dict[str, Any]], str]:
    """Run the job; return its exit code, its events and everything else it printed."""
    code = job.main([request.model_dump_json()])
    lines = capsys.readouterr().out.splitlines()
    events = [json.loads(line.removeprefix(PREFIX)) for line in lines if line.startswith(PREFIX)]
    return code, events, "\n".join(line for line in lines if not line.startswith(PREFIX))


def stage_1(data: str, out: Path, **changes: Any) -> TrainRequest:
    """A request for the first stage by one worker."""
    return tiny_request(data, out, cluster={"num_workers": 1}, only_stage="1", **changes)


def test_a_run_speaks_in_events(
    in_process: list[str], dataset: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Progress by step, a table of the parts, last the contract's result; run again, the result at once."""
    request = stage_1(dataset, tmp_path / "run")
    code, events, rest = call(request, capsys)
    assert code == 0
    assert [(e["stage"], e["step"], e["steps"]) for e in events[:-1]] == [
        ("stage-1", n, 2) for n in (0, 1, 2, 2)
    ]
    assert events[-2]["done"]
    assert events[-1]["event"] == "result"
    assert set(events[-1]["stages"][0]) == {"name", "steps", "trainable", "frozen", "first_loss", "last_loss"}
    assert Path(events[-1]["model"], "model_index.json").is_file()
    assert "vision_head" in rest
    assert "trains" in rest
    again = call(request, capsys)
    assert again[:2] == (0, [events[-1]])
    assert len(in_process) == 1


def test_a_run_knows_where_it_comes_from(in_process: list[str], dataset: str, tmp_path: Path) -> None:
    """lineage.json names the dataset version, the recipe by its hash, and the code."""
    request = stage_1(dataset, tmp_path, recipe={"model": {"preset": "tiny"}})
    job.run(request.model_copy(update={"version": None}))
    lineage = json.loads((tmp_path / "lineage.json").read_text())
    assert lineage["dataset"]["uri"] == dataset
    assert lineage["dataset"]["version"] == 0
    assert len(lineage["recipe_sha256"]) == 64
    assert lineage["code_version"]
    assert json.loads((tmp_path / "recipe.json").read_text()) == {"model": {"preset": "tiny"}}


def test_a_folder_of_another_run_is_refused(in_process: list[str], dataset: str, tmp_path: Path) -> None:
    """The error names the settings that differ; the number of workers is free to."""
    request = stage_1(dataset, tmp_path)
    job.run(request)
    with pytest.raises(InputError, match=r"other settings: stages\.seed"):
        job.run(request.model_copy(update={"stages": request.stages.model_copy(update={"seed": 1})}))
    with pytest.raises(InputError, match=r"version \(0 then\)"):
        job.run(request.model_copy(update={"version": 1}))
    more = request.cluster.model_copy(update={"num_workers": 2})
    job.run(request.model_copy(update={"cluster": more}))


def test_stages_come_in_order(in_process: list[str], dataset: str, tmp_path: Path) -> None:
    """A stage cannot start without the one before it, nor an earlier one after a later."""
    alone = tiny_request(dataset, tmp_path / "a", cluster={"num_workers": 1}, only_stage="2")
    with pytest.raises(InputError, match="starts from stage 1's model"):
        job.run(alone)
    job.run(stage_1(dataset, tmp_path / "b"))
    job.run(tiny_request(dataset, tmp_path / "b", cluster={"num_workers": 1}, only_stage="2"))
    model = {"path": str(tmp_path / "b" / "model")}
    job.run(tiny_request(dataset, tmp_path / "c", cluster={"num_workers": 1}, only_stage="3", model=model))
    with pytest.raises(InputError, match="has a later stage than 1"):
        job.run(tiny_request(dataset, tmp_path / "c", cluster={"num_workers": 1}, model=model))


ALL: dict[str, Any] = {"only_stage": None}


def stages(**settings: Any) -> dict[str, Any]:
    """Changes of what all stages share."""
    whole = tiny_request("data", Path("out")).stages.model_dump(mode="json")
    return {"stages": {**whole, **settings}}


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"data": "/nowhere"}, "no dataset at /nowhere"),
        ({"cluster": {"num_workers": 3}}, "no multiple of 3 workers"),
        (
            {"cluster": {"num_workers": 3, "sequence_parallel": 2}},
            "sequence_parallel 2 does not divide num_workers 3",
        ),
        (
            {"cluster": {"num_workers": 3, "sequence_parallel": 3}},
            "sequence_parallel 3 does not divide the transformer's 4 attention heads",
        ),
        ({"model": {"preset": "huge"}}, "no preset is called 'huge'"),
        ({"model": {"path": "/nowhere"}}, "no model at /nowhere"),
        (
            {"mix": {"captions_as_understanding": False}},
            "asks for image_understanding or video_understanding",
        ),
        (
            stages(clip_seconds=[30.0]),
            "clips fills the shortest of stages.clip_seconds, 30 s",
        ),
        (stages(clip_seconds=[0.3]), "0.3 s at 8 fps are under 5 frames"),
        ({**ALL, "model": {"overrides": {"condition_budget": 100}}}, "condition_budget is 100"),
        ({"mix": {"encoded": {"folder": "/nowhere"}}}, "are not in /nowhere: sample"),
    ],
)
def test_bad_input_is_one_event_and_exit_code_2(
    in_process: list[str],
    dataset: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    changes: dict[str, Any],
    says: str,
) -> None:
    """What is wrong, at which step, and what to do next; no traceback."""
    request = TrainRequest.model_validate(stage_1(dataset, tmp_path).model_dump(mode="json") | changes)
    code, events, rest = call(request, capsys)
    assert code == 2
    assert [event["event"] for event in events] == ["error"]
    assert says in events[0]["what"]
    assert events[0]["kind"] == "input"
    assert events[0]["step"]
    assert events[0]["next"]
    assert "Traceback" not in rest
    assert in_process == []  # no worker was started


def test_a_checkpoint_of_another_model_is_refused(
    in_process: list[str], dataset: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One that was put into the run's folder is named, with the first parameter that does not fit."""
    request = stage_1(dataset, tmp_path)
    request = request.model_copy(update={"stages": request.stages.model_copy(update={"checkpoint_every": 1})})
    job.run(request)
    (tmp_path / "stage-1" / "stage.json").unlink()
    for manifest in tmp_path.glob("checkpoints/*/manifest.json"):
        manifest.write_text(manifest.read_text().replace(" 16384", " 20480"))
    code, events, _ = call(request, capsys)
    assert (code, len(in_process)) == (2, 1)
    assert "is of another model than" in events[-1]["what"]
    assert "has 20,480 numbers there, 16,384 here" in events[-1]["what"]


def test_a_request_that_does_not_parse_is_bad_input(capsys: pytest.CaptureFixture[str]) -> None:
    """The key that is wrong is named."""
    assert job.main(['{"data": "d", "out": "o", "stages": {"stage_1": {"step": 1}}}']) == 2
    assert "stages.stage_1.step" in capsys.readouterr().out


def test_a_broken_promise_is_a_failure(
    in_process: list[str],
    dataset: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What a worker wrote down is what the job says, with exit code 1."""

    def fail(request: TrainRequest, run: Run) -> None:
        launch.write_json(run.failure, launch.describe(TrainingError("frozen parts changed")))
        raise RuntimeError("a worker died")

    monkeypatch.setattr(launch, "launch", fail)
    code, events, _ = call(stage_1(dataset, tmp_path), capsys)
    assert code == 1
    assert events[-1]["what"] == "frozen parts changed"


def kill_first_worker(run: Run, after_step: int, killed: list[int]) -> None:
    """Send SIGKILL to the worker that holds the run's folder, once it has logged some steps."""
    while run.record("1") is None:
        if any(entry["step"] >= after_step for entry in entries(run.metrics)):
            killed.append(int(run.lock.read_text().split()[1]))
            os.kill(killed[0], signal.SIGKILL)
            return
        time.sleep(0.05)


def test_ray_starts_killed_workers_again(
    ray_session: None, team: Team, dataset: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of two workers on two CPUs one is killed with -9: the run ends with the losses of one worker alone."""
    request = tiny_request(dataset, tmp_path / "two", 8, only_stage="1")
    stages = request.stages.model_copy(update={"checkpoint_every": 2})
    request = request.model_copy(update={"stages": stages})
    killed: list[int] = []
    killer = threading.Thread(target=kill_first_worker, args=(Run(tmp_path / "two"), 3, killed), daemon=True)
    killer.start()
    code, events, _ = call(request, capsys)
    assert code == 0, events
    assert killed
    log = [entry for entry in entries(tmp_path / "two" / "metrics.jsonl") if entry["kind"] == "step"]
    assert [entry["step"] for entry in log] == list(range(1, 9))
    alone = request.cluster.model_copy(update={"num_workers": 1})
    train(request.model_copy(update={"cluster": alone, "out": str(tmp_path / "one")}), team)
    single = [entry for entry in entries(tmp_path / "one" / "metrics.jsonl") if entry["kind"] == "step"]
    assert [e["bucket"] for e in log] == [e["bucket"] for e in single]
    assert [e["loss"] for e in log] == pytest.approx([e["loss"] for e in single], rel=0.02)
