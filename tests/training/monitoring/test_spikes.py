from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from curation.dataset import open_dataset
from tests.training.conftest import tiny_request, write_dataset
from training.batches.phase_plan import plan_phase
from training.config import TrainRequest
from training.data.samples import View, read_samples
from training.encoding.encoders import Encoders
from training.loop.phase import PhaseLoop
from training.loop.worker import train
from training.monitoring.spikes import SpikeWatch
from training.parallel.team import Team
from training.run import TIMED, entries
from training.stages import PHASES


def test_a_spike_is_far_above_the_median_of_late() -> None:
    """Nothing is judged before there is enough to compare with, nor if no factor is set."""
    assert SpikeWatch(3.0, [1.0] * 7).limit() is None
    watch = SpikeWatch(3.0, [1.0] * 7)
    watch.take(100.0)
    assert watch.limit() == 3.0
    for _ in range(100):
        watch.take(2.0)
    assert watch.limit() == 6.0
    assert SpikeWatch(None, [1.0] * 20).limit() is None


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Enough images that none comes twice."""
    return write_dataset(tmp_path_factory.mktemp("images") / "table", {"text_to_image": 24})


def request_to(out: Path, data: str, policy: str) -> TrainRequest:
    """Six steps of the first stage, a checkpoint after three."""
    request = tiny_request(data, out, 6, cluster={"num_workers": 1}, only_stage="1")
    changes = {"spike_factor": 4.0, "spike_policy": policy, "checkpoint_every": 3}
    return request.model_copy(update={"stages": request.stages.model_copy(update=changes)})


def planted(request: TrainRequest) -> str:
    """A sample that the fifth step alone asks to generate."""
    plan = plan_phase(PHASES[0], request, read_samples(open_dataset(request.data)), 0)
    draws = plan.batch(4)[1].draws
    return next(draw.sample.sample_id for draw in draws if draw.sample.task == "text_to_image")


@pytest.mark.parametrize(("policy", "to"), [("skip", None), ("rollback", 3)])
def test_a_bad_sample_is_named_and_its_step_not_taken(
    policy: str, to: int | None, images: str, team: Team, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The step is left out, or all since the checkpoint; a run killed after it ends the same."""
    bad = planted(request_to(tmp_path, images, policy))
    real_look, real_step = Encoders.look, PhaseLoop._step
    kill, kept = False, {}

    def look(self: Encoders, view: View, *more: Any) -> Any:
        tensors = real_look(self, view, *more)
        return {n: t * 100 for n, t in tensors.items()} if view.sample_id == bad else tensors

    def step(self: PhaseLoop, number: int) -> None:
        nonlocal kill
        if kill and number == 5:
            kill = False
            raise KeyboardInterrupt
        kept[number] = self.engine.shard()
        real_step(self, number)
        if number == 4:
            then = kept[4 if to is None else to]
            assert all(tensor.equal(then[name]) for name, tensor in self.engine.shard().items())

    monkeypatch.setattr("training.monitoring.spikes.LEAST_STEPS", 3)
    monkeypatch.setattr(Encoders, "look", look)
    monkeypatch.setattr(PhaseLoop, "_step", step)
    models, logs = [], []
    for name in ("whole", "killed"):
        request = request_to(tmp_path / name, images, policy)
        kill = name == "killed"
        if kill:
            with pytest.raises(KeyboardInterrupt):
                train(request, team)
        train(request, team)
        models.append({f.parent.name: f.read_bytes() for f in (tmp_path / name / "model").glob("*/*.safet*")})
        log = entries(tmp_path / name / "metrics.jsonl")
        logs.append([{k: v for k, v in e.items() if k not in TIMED} for e in log])
    assert models[0] == models[1]
    assert logs[0] == logs[1]
    (skipped,) = [entry for entry in logs[0] if entry["kind"] == "skipped"]
    assert (skipped["step"], skipped["reason"], skipped["sample_ids"]) == (5, "spike", [bad])
    assert skipped["loss"] > skipped["limit"]
    assert skipped.get("rolled_back_to") == to
    assert [entry["step"] for entry in logs[0] if entry["kind"] == "step"] == [1, 2, 3, 4, 6]
