"""Ray Data, here alone in training: pieces of work to workers that each hold the frozen parts.

Pieces and answers are small texts; media are read, and shards written, where the work is done.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa

from omnivideo.errors import InputError
from training.config import ClusterSection
from training.errors import TrainingError

Answer = dict[str, Any]
Work = Callable[[str], Answer]
ATTEMPTS = 3  # at a piece whose worker dies with its machine


def connect() -> None:
    """Join the Ray cluster that this process is a job of, and have Ray's own helpers join the same."""
    import os

    import ray

    if ray.is_initialized():
        return
    # Ray's libraries look for the machine's latest cluster; theirs is the one of this job.
    here = {name: os.environ[name] for name in ("RAY_ADDRESS",) if name in os.environ}
    ray.init(address="auto", runtime_env={"env_vars": here})


def each(make: Callable[[], Work], pieces: Sequence[str], cluster: ClusterSection) -> Iterator[Answer]:
    """Yield `make()(piece)` for each piece as they are ready, on one worker a GPU, or on CPUs.

    An InputError or TrainingError of the work comes out as it went in and ends it all. What a worker or a
    node takes along that dies is tried again; three failures without an answer in between end it all, too.
    Raises InputError if the cluster has no GPU and `cluster` asks for them: Ray would wait for ever.
    """
    waiting = dict(enumerate(pieces))
    failures = 0
    while waiting:
        left = len(waiting)
        try:
            for number, answer in _once(make, waiting, cluster):
                del waiting[number]
                yield answer
        except Exception as error:
            # A node that dies takes the retries of its tasks along faster than Ray learns of its death.
            failures = failures + 1 if len(waiting) == left else 1
            if not _of_a_machine(error) or failures == ATTEMPTS:
                raise


def _once(
    make: Callable[[], Work], waiting: Mapping[int, str], cluster: ClusterSection
) -> Iterator[tuple[int, Answer]]:
    import ray

    workers = min(len(waiting), _room(ray.cluster_resources(), cluster))
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.max_errored_blocks = 0
    found = ray.data.from_items(
        [{"number": number, "text": piece} for number, piece in waiting.items()],
        override_num_blocks=len(waiting),
    )
    results = found.map_batches(
        _Worker,
        fn_constructor_args=[make],
        batch_size=1,
        batch_format="pyarrow",
        num_cpus=cluster.cpus_per_worker,
        num_gpus=1 if cluster.use_gpu else None,
        compute=ray.data.ActorPoolStrategy(
            min_size=1, max_size=workers, initial_size=workers, max_tasks_in_flight_per_actor=2
        ),
        max_restarts=ATTEMPTS - 1,  # no named parameter yet; without them Ray tries for ever
        max_task_retries=ATTEMPTS - 1,
    )
    for row in results.iter_rows():
        answer = json.loads(row["text"])
        if "refused" in answer:
            raise InputError(*answer["refused"])
        if "failed" in answer:
            raise TrainingError(answer["failed"])
        yield row["number"], answer["done"]


def _of_a_machine(error: BaseException) -> bool:
    """Tell whether a worker, a node or what they held was lost; else it is the work that raised."""
    from ray.exceptions import RayError, RayTaskError

    return isinstance(error, RayError) and not isinstance(error, RayTaskError)


class _Worker:
    """What Ray Data makes in each actor."""

    def __init__(self, make: Callable[[], Work]) -> None:
        self._work = make()

    def __call__(self, batch: pa.Table) -> pa.Table:
        answers = [json.dumps(self._answer(piece)) for piece in batch["text"].to_pylist()]
        return pa.table({"number": batch["number"], "text": pa.array(answers, pa.string())})

    def _answer(self, piece: str) -> dict[str, Any]:
        try:
            return {"done": self._work(piece)}
        except TrainingError as error:
            return {"failed": str(error)}
        except ValueError as error:
            if not hasattr(error, "next_step"):  # each room's InputError has the same fields
                raise
            return {"refused": [error.what, error.step, error.next_step]}  # type: ignore[attr-defined]


def _room(resources: dict[str, float], cluster: ClusterSection) -> int:
    """Return how many workers fit on the cluster."""
    cpus = math.floor(resources.get("CPU", 1.0) / cluster.cpus_per_worker)
    if not cluster.use_gpu:
        return max(1, cpus)
    gpus = math.floor(resources.get("GPU", 0.0))
    if gpus < 1:
        what = "encoding asks for a GPU and the cluster has none"
        raise InputError(what, "starting workers", "use a cluster with GPUs, or cluster.use_gpu: false")
    return max(1, min(cpus, gpus))
