"""The batch plan: which samples make up step N, as a pure function of seed, dataset version and step.

Hybrid mixed batching (section 4.3): a batch holds generation and editing together, of images or of videos,
all of one resolution and frame count. Steps are planned in windows; in each, every bucket and every task has
its exact share of places, spread evenly, so that short runs see the mix too. A task's samples are drawn in a
fresh permutation each epoch (pass over them), none twice before all were drawn once.
"""

from __future__ import annotations

import functools
import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from training.config import Task
from training.data.samples import Bucket, Sample

WINDOW_STEPS = 128
TASKS_PER_KIND = 3  # each bucket has at least as many batches a window, so that each task finds a place
Item = TypeVar("Item")
Stream = tuple[Bucket, Task]


class Draw(NamedTuple):
    """A sample's place in a batch; `epoch` counts the passes over its task's samples before this one."""

    sample: Sample
    epoch: int


@dataclass(frozen=True)
class Batch:
    """The samples of one optimiser step over all workers, in order."""

    step: int
    bucket: Bucket
    draws: tuple[Draw, ...]

    def for_worker(self, rank: int, world_size: int) -> tuple[Draw, ...]:
        """Return this worker's equal share; in order of rank the shares make up the batch."""
        share = len(self.draws) // world_size
        return self.draws[rank * share : (rank + 1) * share]


class BatchPlan:
    """Batches of `batch_size` samples, without end.

    `streams` holds the samples of each (bucket, task), `weights` each task's share of all samples drawn.
    `key` names the seed, the dataset version and whatever else should change the order.
    """

    def __init__(
        self,
        streams: Mapping[Stream, Sequence[Sample]],
        weights: Mapping[Task, float],
        batch_size: int,
        key: tuple[object, ...],
    ) -> None:
        self.batch_size = batch_size
        self._key = key
        self._streams = {
            stream: sorted(samples, key=lambda sample: sample.sample_id)
            for stream, samples in sorted(streams.items())
            if samples and weights.get(stream[1], 0.0) > 0
        }
        self._shares = _stream_shares(self._streams, weights)
        self._batches = self._quota_of_buckets()
        self._places = {bucket: self._quota_of_tasks(bucket) for bucket in self._batches}
        self._window = functools.lru_cache(maxsize=2)(self._plan_window)
        self._order = functools.lru_cache(maxsize=2 * len(self._streams) + 2)(self._permutation)

    def batch(self, step: int) -> Batch:
        """Return the batch of optimiser step `step`, counted from 0."""
        window, place = divmod(step, sum(self._batches.values()))
        bucket, turn, tasks = self._window(window)[place]
        draws = [self._draw((bucket, task), window, before) for task, before in tasks[turn]]
        return Batch(step, bucket, tuple(draws))

    def _quota_of_buckets(self) -> dict[Bucket, int]:
        shares: dict[Bucket, float] = {}
        for (bucket, _), share in self._shares.items():
            shares[bucket] = shares.get(bucket, 0.0) + share
        return apportion(shares, max(WINDOW_STEPS, 2 * TASKS_PER_KIND * len(shares)), TASKS_PER_KIND)

    def _quota_of_tasks(self, bucket: Bucket) -> dict[Task, int]:
        shares = {task: share for (where, task), share in self._shares.items() if where == bucket}
        return apportion(shares, self._batches[bucket] * self.batch_size, 1)

    def _plan_window(self, window: int) -> list[tuple[Bucket, int, list[list[tuple[Task, int]]]]]:
        """Return each step's bucket, which of the bucket's batches it is, and all those batches' places."""
        tasks = {
            bucket: _chunk(_count_before(spread(places, (*self._key, window, bucket))), self.batch_size)
            for bucket, places in self._places.items()
        }
        order = _count_before(spread(self._batches, (*self._key, window)))
        return [(bucket, turn, tasks[bucket]) for bucket, turn in order]

    def _draw(self, stream: Stream, window: int, before: int) -> Draw:
        bucket, task = stream
        samples = self._streams[stream]
        epoch, position = divmod(window * self._places[bucket][task] + before, len(samples))
        return Draw(samples[self._order(stream, epoch)[position]], epoch)

    def _permutation(self, stream: Stream, epoch: int) -> NDArray[np.int64]:
        return _random((*self._key, stream, epoch)).permutation(len(self._streams[stream]))


def _stream_shares(
    streams: Mapping[Stream, Sequence[Sample]], weights: Mapping[Task, float]
) -> dict[Stream, float]:
    """Share each task's weight among its buckets by their number of samples."""
    totals: dict[Task, int] = {}
    for (_, task), samples in streams.items():
        totals[task] = totals.get(task, 0) + len(samples)
    whole = sum(weights[task] for task in totals)
    return {
        (bucket, task): weights[task] / whole * len(samples) / totals[task]
        for (bucket, task), samples in streams.items()
    }


def apportion(shares: Mapping[Item, float], places: int, least: int) -> dict[Item, int]:
    """Divide `places` in proportion to `shares` by largest remainders, at least `least` each."""
    whole = sum(shares.values())
    exact = {key: share / whole * places for key, share in shares.items()}
    counts = {key: max(least, math.floor(value)) for key, value in exact.items()}
    by_need = sorted(exact, key=lambda key: counts[key] - exact[key])
    while sum(counts.values()) < places:
        for key in by_need[: places - sum(counts.values())]:
            counts[key] += 1
    while sum(counts.values()) > places:
        counts[max(counts, key=lambda key: counts[key])] -= 1
    return counts


def spread(counts: Mapping[Item, int], key: tuple[object, ...]) -> list[Item]:
    """Return each item as often as it counts, evenly spread, with a phase drawn from `key`."""
    random = _random(key)
    places = [
        ((turn + phase) / count, number, item)
        for number, (item, count) in enumerate(counts.items())
        for phase in [random.random()]
        for turn in range(count)
    ]
    return [item for _, _, item in sorted(places, key=lambda place: place[:2])]


def _count_before(items: Iterable[Item]) -> list[tuple[Item, int]]:
    """Pair each item with how many equal ones stand before it."""
    seen: dict[Item, int] = {}
    counted = []
    for item in items:
        counted.append((item, seen.get(item, 0)))
        seen[item] = seen.get(item, 0) + 1
    return counted


def _chunk(items: Sequence[Item], size: int) -> list[list[Item]]:
    return [list(items[start : start + size]) for start in range(0, len(items), size)]


def _random(key: tuple[object, ...]) -> np.random.Generator:
    digest = hashlib.sha256(repr(key).encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:16], "big"))
