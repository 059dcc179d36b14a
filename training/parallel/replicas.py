"""Which share of a batch a worker takes: one of its own, or one with the workers that share its sequences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch.distributed as dist

from training.batches.batch_plan import Batch, Draw
from training.parallel.team import Team


@dataclass(frozen=True)
class Replicas:
    """This worker is one of `each` that make up replica `rank` of `size`; `group` is theirs."""

    rank: int
    size: int
    each: int = 1
    group: Any = None

    @classmethod
    def of(cls, team: Team, each: int) -> Replicas:
        """Join neighbours into groups of `each`. Every worker calls this, once a run."""
        if each == 1:
            return cls.at(team.rank, team.size)
        firsts = range(0, team.size, each)
        groups = [dist.new_group(list(range(first, first + each))) for first in firsts]
        return cls.at(team.rank, team.size, each, groups[team.rank // each])

    @classmethod
    def at(cls, rank: int, workers: int, each: int = 1, group: Any = None) -> Replicas:
        """Return the replica of worker `rank` of `workers`."""
        return cls(rank // each, workers // each, each, group)

    def share(self, batch: Batch) -> Sequence[Draw]:
        """Return the samples of a batch that are this worker's, or its group's."""
        return batch.for_worker(self.rank, self.size)
