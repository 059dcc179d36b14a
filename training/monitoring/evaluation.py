"""Losses that compare across steps: on fixed samples, with fixed noise and times, without learning."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from training.batches.batch_plan import Batch, Draw
from training.batches.collator import Collator
from training.batches.phase_plan import PhasePlan
from training.data.samples import Bucket
from training.model.trainee import SubBatch, Trainee
from training.monitoring.loss_meter import LossMeter
from training.parallel.replicas import Replicas
from training.parallel.team import Team

TIMES = (0.1, 0.3, 0.5, 0.7, 0.9)
"""Of the flow (Eq. 4), at which held-out samples are evaluated."""


class Evaluation:
    """Evaluates one phase's model, `micro_batch` samples at once; `key` names its noise."""

    def __init__(
        self,
        collator: Collator,
        trainee: Trainee,
        team: Team,
        replicas: Replicas,
        micro_batch: int,
        key: tuple[object, ...],
    ) -> None:
        self._collator, self._trainee, self._team, self._replicas = collator, trainee, team, replicas
        self._micro_batch, self._key = micro_batch, key

    @torch.no_grad()
    def probe(self, plan: PhasePlan) -> dict[str, Any]:
        """Return mean losses on a batch of each kind that is trained on."""
        meter, batches = self._meter(), _probe_batches(plan)
        for batch in batches:
            mine = self._replicas.share(batch)
            self._collator.prefetch(mine, batch.bucket)
            for draws in _chunks(mine, self._micro_batch):
                for sub_batch in self._collator.collate(draws, batch.bucket, (*self._key, "probe")):
                    meter.add(sub_batch, draws, self._losses(sub_batch))
        return meter.means(self._team, sum(len(batch.draws) for batch in batches))

    @torch.no_grad()
    def held_out(self, plan: PhasePlan) -> dict[str, Any]:
        """Return mean losses on the held-out samples, with their text; flow's at TIMES too."""
        whole, by_time = self._meter(), {time: self._meter() for time in TIMES}
        for bucket, draws in self._shares(plan):
            self._collator.prefetch(draws, bucket)
            for sub_batch in self._collator.collate(draws, bucket, (*self._key, "held out"), whole_text=True):
                for time, timed in _at_times(sub_batch):
                    losses = self._losses(timed)
                    whole.add(timed, draws, losses)
                    if time is not None:
                        by_time[time].add(timed, draws, losses)
        samples = sum(len(members) for members in plan.held_out.values())
        if self._collator.objective != "flow":
            return {**_essence(whole.means(self._team, samples)), "samples": samples}
        times = {str(time): meter.means(self._team, samples)["loss"] for time, meter in by_time.items()}
        means = whole.means(self._team, samples * len(TIMES))
        return {**_essence(means), "samples": samples, "times": times}

    def _losses(self, sub_batch: SubBatch) -> Tensor:
        with torch.autocast(self._team.device.type, torch.bfloat16):
            losses: Tensor = self._trainee(sub_batch)
        return losses

    def _shares(self, plan: PhasePlan) -> Iterator[tuple[Bucket, Sequence[Draw]]]:
        """Yield this worker's micro-batches of held-out samples: every so manieth of all."""
        by_bucket: dict[Bucket, list[Draw]] = {}
        for (bucket, _), samples in plan.held_out.items():
            by_bucket.setdefault(bucket, []).extend(Draw(sample, 0) for sample in samples)
        every = [(b, part) for b, draws in by_bucket.items() for part in _chunks(draws, self._micro_batch)]
        yield from every[self._replicas.rank :: self._replicas.size]

    def _meter(self) -> LossMeter:
        return LossMeter(self._replicas.each)


def _at_times(sub_batch: SubBatch) -> Iterable[tuple[float | None, SubBatch]]:
    """Return the sub-batch at each of TIMES, or as it is if its loss knows no time."""
    if sub_batch.loss != "flow":
        return [(None, sub_batch)]
    drawn = sub_batch.inputs["time"]
    return [
        (time, replace(sub_batch, inputs={**sub_batch.inputs, "time": torch.full_like(drawn, time)}))
        for time in TIMES
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
