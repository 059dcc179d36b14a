"""What all phases of a run share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from training.config import TrainRequest
from training.encoding.cache import Cache
from training.encoding.from_shards import Encoded
from training.monitoring.curves import Curves
from training.parallel.replicas import Replicas
from training.parallel.team import Team
from training.run import Run, append

if TYPE_CHECKING:
    from curation.dataset import Dataset


@dataclass(frozen=True)
class Context:
    """What every phase of a run shares, as one worker sees it.

    What is remembered in `cache` holds for all phases: what says it is frozen in those that ask for it, and a
    vision head's tokens are asked for from the end of stage 1 on, of the head that it left.
    """

    request: TrainRequest
    run: Run
    team: Team
    dataset: Dataset
    curves: Curves
    replicas: Replicas
    cache: Cache
    encoded: Encoded | None = None

    def log(self, entry: dict[str, Any]) -> None:
        """Add a line to the run's log and points to its curves, once for all workers."""
        if self.team.rank == 0:
            append(self.run.metrics, entry)
            self.curves.add(entry)
