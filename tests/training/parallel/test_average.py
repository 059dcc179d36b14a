from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.training.conftest import tiny_request
from training.config import StageSection
from training.loop.phase import PhaseLoop
from training.loop.worker import train
from training.parallel.engine import Engine
from training.parallel.team import Team

SETTINGS = StageSection(learning_rate=0.1)


def test_the_average_follows_the_weights_and_lends_itself(team: Team) -> None:
    """It is what the formula says, lent without changing the weights, kept in shards, adopted at the end."""
    torch.manual_seed(0)
    net = torch.nn.Linear(3, 2)
    engine = Engine(net, SETTINGS, team.device, ema_decay=0.9)
    expected = {name: p.detach().clone() for name, p in net.named_parameters()}
    for step in range(1, 4):
        engine.backward(engine.losses(torch.ones(1, 3)).float().pow(2).sum())
        engine.step(0.1)
        decay = min(0.9, (1 + step) / (10 + step))
        for name, p in net.named_parameters():
            expected[name] = decay * expected[name] + (1 - decay) * p.detach()
    weights = {name: p.detach().clone() for name, p in net.named_parameters()}
    with engine.averaged():
        torch.testing.assert_close(dict(net.named_parameters()), expected)
    assert all(torch.equal(p, weights[name]) for name, p in net.named_parameters())
    again = torch.nn.Linear(3, 2)
    other = Engine(again, SETTINGS, team.device, ema_decay=0.9)
    other.load([engine.shard()])
    other.adopt_average()
    torch.testing.assert_close(dict(again.named_parameters()), expected)
    engine.close()
    other.close()


def test_a_stage_exports_the_average_and_resumes_exactly(
    dataset: str, team: Team, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The model is another than without it; killed between checkpoints, the same bytes come out."""
    real = PhaseLoop._step
    kill = False

    def step(self: PhaseLoop, number: int) -> None:
        nonlocal kill
        if kill and number == 3:
            kill = False
            raise KeyboardInterrupt
        real(self, number)

    monkeypatch.setattr(PhaseLoop, "_step", step)
    models = {}
    for name, decay in (("plain", None), ("average", 0.9), ("killed", 0.9)):
        request = tiny_request(dataset, tmp_path / name, 4, cluster={"num_workers": 1}, only_stage="1")
        stages = request.stages.model_copy(update={"ema_decay": decay})
        request = request.model_copy(update={"stages": stages})
        kill = name == "killed"
        if kill:
            with pytest.raises(KeyboardInterrupt):
                train(request, team)
        train(request, team)
        models[name] = {f.parent.name: f.read_bytes() for f in (tmp_path / name / "model").glob("*/*.safet*")}
    assert models["average"] == models["killed"]
    assert {p for p in models["plain"] if models["plain"][p] != models["average"][p]} == {
        "vision_head",
        "text_head",
    }
