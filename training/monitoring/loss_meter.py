"""Losses of a step or an evaluation, counted on each worker, then over all of them at once."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal, get_args

import torch
from torch import Tensor

from training.batches.batch_plan import Draw
from training.config import Task
from training.data.samples import Sample
from training.model.trainee import Loss, SubBatch
from training.parallel.team import Team
from training.speed.transfer import Coming

QUARTILES = ("0.00-0.25", "0.25-0.50", "0.50-0.75", "0.75-1.00")
"""Ranges of the flow's time t (Eq. 4); losses differ more between them than between models."""
Note = Literal["stop", "written"]
"""What one worker tells all: it was asked to stop; its part of a checkpoint is on the disk."""
COLUMNS: tuple[str, ...] = (*get_args(Task), *get_args(Loss), *QUARTILES, "tokens", "flops", *get_args(Note))


class LossMeter:
    """Losses summed by task, kind of loss and quartile of time; also visual tokens, and wishes to stop.

    Every sample is counted by `copies` workers.
    """

    def __init__(self, copies: int = 1) -> None:
        self._copies = copies
        self._sums = {name: [0.0, 0.0] for name in COLUMNS}  # and how many were counted
        self._coming: list[tuple[list[Sample], Loss, Coming]] = []  # what a GPU may not have computed yet
        self._each: list[tuple[str, float]] = []
        self._noted: dict[Note, int] = {}

    def add(self, sub_batch: SubBatch, draws: Sequence[Draw], losses: Tensor, flops: float = 0.0) -> None:
        """Count one sub-batch's losses [B] and operations; `draws` are those of its micro-batch."""
        rows = [losses.detach().double()]
        if sub_batch.loss == "flow":
            rows.append(sub_batch.inputs["time"].double().to(losses.device))
        counted = [draws[i].sample for i in sub_batch.members]
        self._coming.append((counted, sub_batch.loss, Coming(torch.stack(rows))))
        self._count("tokens", visual_tokens(sub_batch))
        self._count("flops", flops)

    def _settle(self) -> None:
        """Count the losses that were added."""
        coming, self._coming = self._coming, []
        for samples, kind, figures in coming:
            values, *times = figures.take().tolist()
            for i, (sample, value) in enumerate(zip(samples, values, strict=True)):
                for name in (sample.task, kind, *(quartile(time[i]) for time in times)):
                    self._count(name, value)
                self._each.append((sample.sample_id, value))

    def note(self, what: Note) -> None:
        """Tell all workers something of this one with the next `means`."""
        self._count(what, 1.0)

    def noted(self, what: Note) -> int:
        """Return how many workers noted `what` before the last `means`."""
        return self._noted[what]

    def means(self, team: Team, samples: int) -> dict[str, Any]:
        """Return the mean loss a sample, and by task, kind and quartile, over all workers."""
        self._settle()
        sums = team.sum(torch.tensor(list(self._sums.values()), dtype=torch.float64))
        self._noted = {note: int(sums[COLUMNS.index(note), 1]) for note in get_args(Note)}
        sums /= self._copies
        by_name = {name: row for name, row in zip(COLUMNS, sums.tolist(), strict=True) if row[1]}
        means = {name: finite(total / count) for name, (total, count) in by_name.items()}
        total = sum(total for name, (total, _) in by_name.items() if name in get_args(Task))
        quartiles = {name: mean for name, mean in means.items() if name in QUARTILES}
        return {
            "loss": finite(total / samples),
            "tasks": {name: mean for name, mean in means.items() if name in get_args(Task)},
            "losses": {name: mean for name, mean in means.items() if name in get_args(Loss)},
            **({"quartiles": quartiles} if quartiles else {}),
            **{name: int(by_name[name][0]) if name in by_name else 0 for name in ("tokens", "flops")},
        }

    def above(self, limit: float) -> list[str]:
        """Return the ids of this worker's samples with a loss above `limit`, or not finite."""
        self._settle()
        return [name for name, loss in self._each if not (math.isfinite(loss) and loss <= limit)]

    def _count(self, name: str, value: float) -> None:
        row = self._sums[name]
        row[0] += value
        row[1] += 1


def quartile(time: float) -> str:
    """Return the name of the quartile that time `time` in [0, 1] lies in."""
    return QUARTILES[min(int(time * 4), 3)]


def visual_tokens(sub_batch: SubBatch) -> int:
    """Return how many tokens of images and videos it is about: the DiT's for flow (patches 1×2×2)."""
    if sub_batch.loss == "flow":
        samples, _, frames, height, width = sub_batch.inputs["latents"].shape
        return int(samples * frames * height * width // 4)
    tensor = sub_batch.inputs.get("targets", sub_batch.inputs.get("visual"))
    return 0 if tensor is None else int(tensor.shape[0] * tensor.shape[1])


def finite(value: float) -> float | None:
    """Return `value`, or None for what JSON cannot say."""
    return value if math.isfinite(value) else None
