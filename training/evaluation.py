"""Losses that compare across steps: on fixed samples, with fixed noise and times, without learning."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from training.cells import CellMaker
from training.plan import Batch, Draw
from training.replicas import Replicas
from training.samples import Bucket
from training.schedule import PhasePlan
from training.tally import Tally
from training.team import Team
from training.trainee import Cell, Trainee

TIMES = (0.1, 0.3, 0.5, 0.7, 0.9)
"""Of the flow (Eq. 4), at which held-out samples are evaluated."""


class Evaluation:
    """Evaluates one phase's model, `micro_batch` samples at once; `key` names its noise."""

    def __init__(
        self,
        cells: CellMaker,
        trainee: Trainee,
        team: Team,
        replicas: Replicas,
        micro_batch: int,
        key: tuple[object, ...],
    ) -> None:
        self._cells, self._trainee, self._team, self._replicas = cells, trainee, team, replicas
        self._micro_batch, self._key = micro_batch, key

    @torch.no_grad()
    def probe(self, plan: PhasePlan) -> dict[str, Any]:
        """Return mean losses on a batch of each kind that is trained on."""
        tally, batches = self._tally(), _probe_batches(plan)
        for batch in batches:
            mine = self._replicas.share(batch)
            self._cells.prefetch(mine, batch.bucket)
            for draws in _chunks(mine, self._micro_batch):
                for cell in self._cells.cells(draws, batch.bucket, (*self._key, "probe")):
                    tally.add(cell, draws, self._losses(cell))
        return tally.means(self._team, sum(len(batch.draws) for batch in batches))

    @torch.no_grad()
    def held_out(self, plan: PhasePlan) -> dict[str, Any]:
        """Return mean losses on the held-out samples, with their text; flow's at TIMES too."""
        whole, by_time = self._tally(), {time: self._tally() for time in TIMES}
        for bucket, draws in self._shares(plan):
            self._cells.prefetch(draws, bucket)
            for cell in self._cells.cells(draws, bucket, (*self._key, "held out"), whole_text=True):
                for time, timed in _at_times(cell):
                    losses = self._losses(timed)
                    whole.add(timed, draws, losses)
                    if time is not None:
                        by_time[time].add(timed, draws, losses)
        samples = sum(len(members) for members in plan.held_out.values())
        if self._cells.objective != "flow":
            return {**_essence(whole.means(self._team, samples)), "samples": samples}
        times = {str(time): tally.means(self._team, samples)["loss"] for time, tally in by_time.items()}
        means = whole.means(self._team, samples * len(TIMES))
        return {**_essence(means), "samples": samples, "times": times}

    def _losses(self, cell: Cell) -> Tensor:
        with torch.autocast(self._team.device.type, torch.bfloat16):
            losses: Tensor = self._trainee(cell)
        return losses

    def _shares(self, plan: PhasePlan) -> Iterator[tuple[Bucket, Sequence[Draw]]]:
        """Yield this worker's micro-batches of held-out samples: every so manieth of all."""
        by_bucket: dict[Bucket, list[Draw]] = {}
        for (bucket, _), samples in plan.held_out.items():
            by_bucket.setdefault(bucket, []).extend(Draw(sample, 0) for sample in samples)
        every = [(b, part) for b, draws in by_bucket.items() for part in _chunks(draws, self._micro_batch)]
        yield from every[self._replicas.rank :: self._replicas.size]

    def _tally(self) -> Tally:
        return Tally(self._replicas.each)


def _at_times(cell: Cell) -> Iterable[tuple[float | None, Cell]]:
    """Return the cell at each of TIMES, or as it is if its loss knows no time."""
    if cell.loss != "flow":
        return [(None, cell)]
    drawn = cell.inputs["time"]
    return [
        (time, replace(cell, inputs={**cell.inputs, "time": torch.full_like(drawn, time)})) for time in TIMES
    ]


def _essence(means: dict[str, Any]) -> dict[str, Any]:
    return {name: means[name] for name in ("loss", "tasks", "losses")}


def _chunks(draws: Sequence[Draw], size: int) -> list[Sequence[Draw]]:
    return [draws[start : start + size] for start in range(0, len(draws), size)]


def _probe_batches(plan: PhasePlan) -> list[Batch]:
    """Return the first batch of each bucket's kind under the last sub-stage's plan, which has all tasks."""
    _, last = plan.parts[-1]
    first: dict[str, Batch] = {}
    for step in range(32):
        batch = last.batch(step)
        first.setdefault(batch.bucket.kind, batch)
    return list(first.values())
