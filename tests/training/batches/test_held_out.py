from __future__ import annotations

from pathlib import Path

import pytest

from tests.training.conftest import tiny_request, write_dataset
from training.batches.held_out import chosen, held_out
from training.config import Task
from training.data.samples import Bucket, Sample
from training.loop.phase import PhaseLoop
from training.loop.worker import train
from training.parallel.team import Team
from training.run import entries

IMAGE = Bucket("image", 64, 64, 1)


def many(task: Task, count: int) -> list[Sample]:
    """So many samples of a task."""
    return [Sample(f"{task}-{number}", task, 64, 64, 0.0, "a square") for number in range(count)]


def test_a_share_of_large_tasks_stays_out() -> None:
    """About the share asked for, none of a task with few samples, none at share 0."""
    samples = [*many("text_to_image", 2000), *many("text_to_video", 49)]
    aside = held_out(samples, 0.1)
    assert 150 < len(aside) < 250
    assert all(name.startswith("text_to_image") for name in aside)
    assert held_out(samples, 0.0) == frozenset()


def test_a_sample_stays_out_as_the_dataset_grows() -> None:
    """What is held out of a version is held out of the next."""
    before = held_out(many("image_edit", 500), 0.1)
    assert before < held_out(many("image_edit", 900), 0.1)


def test_few_are_looked_at_and_each_task_among_them() -> None:
    """At most as many as asked for, evenly over the tasks, whatever the order they come in."""
    streams = {(IMAGE, task): many(task, 40) for task in ("text_to_image", "image_edit")}
    found = chosen(streams, 10)
    assert {stream: len(samples) for stream, samples in found.items()} == dict.fromkeys(streams, 5)
    assert found == chosen({stream: samples[::-1] for stream, samples in streams.items()}, 10)


def test_held_out_losses_are_logged_and_survive_a_kill(
    team: Team, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the ends of a phase and between, by time for flow; never of a trained sample; once after a kill."""
    data = write_dataset(tmp_path / "data", {"text_to_image": 60})
    trained: set[str] = set()
    real = PhaseLoop._step

    def step(self: PhaseLoop, number: int) -> None:
        if self.phase.name == "stage-2-flow" and number == 1 and kill:
            kill.pop()
            raise KeyboardInterrupt
        trained.update(draw.sample.sample_id for draw in self.plan.batch(number)[1].draws)
        held = {s.sample_id for samples in self.plan.held_out.values() for s in samples}
        assert held
        assert not held & trained
        real(self, number)

    monkeypatch.setattr(PhaseLoop, "_step", step)
    found = []
    for name, kill in (("whole", []), ("killed", [True])):
        request = tiny_request(data, tmp_path / name, 2, cluster={"num_workers": 1}, only_stage="2")
        changes = {"held_out_share": 0.1, "held_out_samples": 2, "evaluate_every": 1, "checkpoint_every": 1}
        request = request.model_copy(update={"stages": request.stages.model_copy(update=changes)})
        if kill:
            with pytest.raises(KeyboardInterrupt):
                train(request, team)
        train(request, team)
        log = entries(tmp_path / name / "metrics.jsonl")
        found.append([entry for entry in log if entry["kind"] == "held_out"])
    assert found[0] == found[1]
    assert [entry["step"] for entry in found[0]] == [0, 1, 2] * 2
    flow = found[0][3:]
    assert all(set(entry["times"]) == {"0.1", "0.3", "0.5", "0.7", "0.9"} for entry in flow)
    assert flow[0]["loss"] == pytest.approx(sum(flow[0]["times"].values()) / 5)
    assert flow[0]["samples"] == 2
    assert flow[0]["loss"] != flow[-1]["loss"]
