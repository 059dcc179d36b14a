"""Which samples are kept out of training, and which of those are looked at."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence

from training.batches.batch_plan import Stream
from training.config import Task
from training.data.samples import Sample, count_tasks

LEAST_SAMPLES = 50
"""Of a task, for some of them to be set aside: fewer are all needed."""


def held_out(samples: Iterable[Sample], share: float) -> frozenset[str]:
    """Return the ids of about `share` of each task's samples, none of tasks with few.

    An id decides by its own hash: a sample stays out in every phase, and in later versions of the dataset.
    """
    samples = list(samples) if share else []
    counts = count_tasks(samples)
    return frozenset(
        sample.sample_id
        for sample in samples
        if counts[sample.task] >= LEAST_SAMPLES and _place(sample.sample_id) < share
    )


def chosen(streams: Mapping[Stream, Sequence[Sample]], most: int) -> dict[Stream, list[Sample]]:
    """Return at most `most` samples of all streams, evenly over tasks, the same whenever they are there."""
    by_task: dict[Task, list[tuple[float, Sample, Stream]]] = {}
    for stream, samples in streams.items():
        rows = ((_place(sample.sample_id), sample, stream) for sample in samples)
        by_task.setdefault(stream[1], []).extend(rows)
    found: dict[Stream, list[Sample]] = {}
    for members in by_task.values():
        members.sort(key=lambda row: row[0])
        for _, sample, stream in members[: max(1, most // len(by_task))]:
            found.setdefault(stream, []).append(sample)
    return dict(sorted(found.items()))


def _place(sample_id: str) -> float:
    digest = hashlib.sha256(f"held-out:{sample_id}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64
