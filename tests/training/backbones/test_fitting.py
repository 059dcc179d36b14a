"""The loop that backbones learn in: it ends, it goes on from its checkpoint, it keeps the average."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import Tensor, nn

from training.backbones.config import LessonSection
from training.backbones.fitting import Batch, Fit
from training.parallel.team import Team


class Line:
    """Learns to double a number."""

    def __init__(self, stops_after: int | None = None) -> None:
        torch.manual_seed(0)
        self.module = nn.Linear(1, 1)
        self.calls, self.stops_after = 0, stops_after

    def draw(self, random: torch.Generator, batch: int, progress: float) -> Batch:
        """Numbers."""
        return Batch("numbers", (torch.randn(batch, 1, generator=random),))

    def loss(self, kind: str, *inputs: Tensor) -> Tensor:
        """The squared error; at call `stops_after` the process is stopped."""
        self.calls += 1
        if self.calls == self.stops_after:
            raise KeyboardInterrupt
        (x,) = inputs
        return (self.module(x) - 2 * x).pow(2).mean()

    def report(self) -> dict[str, float]:
        """What was learnt."""
        return {"weight": self.module.weight.item()}


def fit(line: Line, folder: Path, **changes: float) -> Fit:
    """Its training, with a checkpoint after every step."""
    fields = {"steps": 60, "batch_size": 8, "learning_rate": 0.1, "warmup_steps": 0, "weight_decay": 0.0}
    settings = LessonSection.model_validate(
        {**fields, "ema_decay": 0.5, "checkpoint_minutes": 1e-9, **changes}
    )
    return Fit("line", line, settings, Team(), folder, seed=3)


def test_it_learns_and_says_so(tmp_path: Path) -> None:
    """The weights kept are near the truth, and the record has what a run's summary needs."""
    record = fit(Line(), tmp_path, steps=400).run()
    assert record["report"]["weight"] == pytest.approx(2.0, abs=0.02)
    assert record["steps"] == 400
    assert record["trainable"] == 2
    assert record["last_loss"] < record["first_loss"]


def test_a_stopped_one_goes_on_where_it_was(tmp_path: Path) -> None:
    """Stopped in the middle and begun again, it ends with the very weights of an undisturbed one."""
    (tmp_path / "whole").mkdir()
    (tmp_path / "parts").mkdir()
    whole = fit(Line(), tmp_path / "whole").run()
    with pytest.raises(KeyboardInterrupt):
        fit(Line(stops_after=31), tmp_path / "parts").run()
    again = Line()
    assert fit(again, tmp_path / "parts").run()["report"] == whole["report"]
    assert again.calls == 30


def test_time_ends_it_too(tmp_path: Path) -> None:
    """With its minutes used up it takes no further step, whatever steps it was given."""
    line = Line()
    fit(line, tmp_path, steps=1_000_000, minutes=1e-6).run()
    assert line.calls <= 1


def _worker(rank: int, folder: Path) -> None:
    torch.set_num_threads(1)
    group = dist.FileStore(str(folder / "group"), 2)
    dist.init_process_group("gloo", store=group, rank=rank, world_size=2, timeout=timedelta(minutes=2))
    settings = LessonSection(steps=60, batch_size=8, learning_rate=0.1, warmup_steps=0, weight_decay=0.0)
    team = Team.current(torch.device("cpu"))
    report = Fit("line", Line(), settings, team, folder, seed=3).run()["report"]
    (folder / f"{rank}.txt").write_text(repr(report))
    dist.destroy_process_group()


def test_two_workers_learn_together(tmp_path: Path) -> None:
    """Only one writes the log, yet they meet at every step, and both end with the same weights."""
    mp.spawn(_worker, args=(tmp_path,), nprocs=2)
    first, second = ((tmp_path / f"{rank}.txt").read_text() for rank in range(2))
    assert first == second
