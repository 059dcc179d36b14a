from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.batches.batch_plan import WINDOW_STEPS, Batch, BatchPlan, apportion, spread
from training.config import Task
from training.data.samples import Bucket, Sample
from training.parallel.replicas import Replicas

SQUARE = Bucket("image", 64, 64, 1)
WIDE = Bucket("image", 64, 96, 1)
CLIP = Bucket("video", 64, 64, 9)
STREAMS: list[tuple[Bucket, Task]] = [
    (SQUARE, "text_to_image"),
    (SQUARE, "image_edit"),
    (WIDE, "text_to_image"),
    (CLIP, "text_to_video"),
    (CLIP, "video_edit"),
]


def make_plan(
    counts: list[int], weights: list[float], batch_size: int, seed: int = 0, version: int = 0
) -> BatchPlan:
    """A plan over STREAMS with so many samples each."""
    streams = {
        (bucket, task): [Sample(f"{number}-{i}", task, 64, 64, 2.0, "x") for i in range(count)]
        for number, ((bucket, task), count) in enumerate(zip(STREAMS, counts, strict=True))
    }
    tasks: list[Task] = ["text_to_image", "image_edit", "text_to_video", "video_edit"]
    return BatchPlan(streams, dict(zip(tasks, weights, strict=True)), batch_size, (seed, version))


def ids(batch: Batch) -> list[tuple[str, int]]:
    """What a batch holds."""
    return [(draw.sample.sample_id, draw.epoch) for draw in batch.draws]


counts = st.lists(st.integers(1, 40), min_size=5, max_size=5)
weights = st.lists(st.floats(0.1, 10), min_size=4, max_size=4)
sizes = st.sampled_from([1, 2, 4, 12])
steps = st.integers(0, 500)


@settings(deadline=None, max_examples=40)
@given(counts, weights, sizes, steps, st.integers(0, 3), st.integers(0, 3))
def test_a_batch_depends_on_seed_version_and_step_alone(
    count: list[int], weight: list[float], size: int, step: int, seed: int, version: int
) -> None:
    """A plan made anew, and asked for no step before, gives the same batch."""
    walked = make_plan(count, weight, size, seed, version)
    for earlier in range(0, step, 37):
        walked.batch(earlier)
    fresh = make_plan(count, weight, size, seed, version)
    assert ids(walked.batch(step)) == ids(fresh.batch(step))


@settings(deadline=None, max_examples=40)
@given(counts, weights, steps)
def test_any_number_of_workers_sees_one_global_sequence(
    count: list[int], weight: list[float], step: int
) -> None:
    """For every world size that divides the batch, the workers' shares in order of rank are the batch."""
    batch = make_plan(count, weight, 12).batch(step)
    for world in (1, 2, 3, 4, 6, 12):
        shares = [batch.for_worker(rank, world) for rank in range(world)]
        assert len({len(share) for share in shares}) == 1
        assert tuple(draw for share in shares for draw in share) == batch.draws


@settings(deadline=None, max_examples=20)
@given(counts, weights, steps)
def test_workers_that_share_sequences_take_the_same_samples(
    count: list[int], weight: list[float], step: int
) -> None:
    """Neighbours have one share; the shares, each counted once, are the batch at any number of workers."""
    batch = make_plan(count, weight, 12).batch(step)
    for workers, each in ((2, 2), (4, 2), (4, 4), (12, 3), (12, 4)):
        shares = [Replicas.at(rank, workers, each).share(batch) for rank in range(workers)]
        groups = [shares[first : first + each] for first in range(0, workers, each)]
        assert all(share == group[0] for group in groups for share in group)
        assert tuple(draw for group in groups for draw in group[0]) == batch.draws


@settings(deadline=None, max_examples=25)
@given(counts, weights, sizes)
def test_a_batch_is_of_one_bucket_and_full(count: list[int], weight: list[float], size: int) -> None:
    """Every batch holds as many samples as asked for, all of one kind, resolution and frame count."""
    plan = make_plan(count, weight, size)
    buckets = {sample.sample_id: stream[0] for stream, samples in plan._streams.items() for sample in samples}
    for step in range(60):
        batch = plan.batch(step)
        assert len(batch.draws) == size
        assert {buckets[draw.sample.sample_id] for draw in batch.draws} == {batch.bucket}


@settings(deadline=None, max_examples=15)
@given(counts, weights)
def test_no_sample_comes_again_before_all_of_its_stream_came(count: list[int], weight: list[float]) -> None:
    """Epochs of a stream follow one another: no sample is two visits ahead of another."""
    plan, visits = make_plan(count, weight, 4), Counter[str]()
    for step in range(3 * WINDOW_STEPS):
        for draw in plan.batch(step).draws:
            assert visits[draw.sample.sample_id] == draw.epoch
            visits[draw.sample.sample_id] += 1
    for samples in plan._streams.values():
        seen = [visits[sample.sample_id] for sample in samples]
        assert max(seen) - min(seen) <= 1


def test_tasks_have_their_weights_even_in_a_short_run() -> None:
    """Over a few dozen steps, each task's share of samples is close to its weight."""
    plan = make_plan([10, 10, 10, 10, 10], [0.4, 0.3, 0.2, 0.1], 4)
    drawn = Counter(draw.sample.task for step in range(40) for draw in plan.batch(step).draws)
    for task, share in {
        "text_to_image": 0.4,
        "image_edit": 0.3,
        "text_to_video": 0.2,
        "video_edit": 0.1,
    }.items():
        assert drawn[task] / 160 == pytest.approx(share, abs=0.06)


def test_generation_and_editing_share_batches() -> None:
    """Hybrid mixed batching: some batches hold both tasks of a group."""
    plan = make_plan([10, 10, 10, 10, 10], [1, 1, 1, 1], 4)
    tasks = [{draw.sample.task for draw in plan.batch(step).draws} for step in range(20)]
    assert {"text_to_image", "image_edit"} in tasks
    assert {"text_to_video", "video_edit"} in tasks


def test_another_seed_or_version_is_another_order() -> None:
    """Seed and dataset version both change the sequence."""
    first = [ids(make_plan([30] * 5, [1, 1, 1, 1], 4).batch(step)) for step in range(5)]
    assert first != [ids(make_plan([30] * 5, [1, 1, 1, 1], 4, seed=1).batch(step)) for step in range(5)]
    assert first != [ids(make_plan([30] * 5, [1, 1, 1, 1], 4, version=1).batch(step)) for step in range(5)]


def test_a_task_without_weight_or_samples_is_never_drawn() -> None:
    """Weight 0 and an empty stream both keep a task out."""
    plan = make_plan([5, 5, 5, 0, 5], [1, 0, 1, 1], 4)
    drawn = {draw.sample.task for step in range(100) for draw in plan.batch(step).draws}
    assert drawn == {"text_to_image", "video_edit"}


@given(st.lists(st.floats(0.01, 100), min_size=1, max_size=8), st.integers(24, 200))
def test_apportioning_gives_away_every_place_and_leaves_none_out(shares: list[float], places: int) -> None:
    """Counts add up to the places, none is below the least, and spreading them keeps each count."""
    found = apportion(dict(enumerate(shares)), places, 3)
    assert sum(found.values()) == places
    assert min(found.values()) >= 3
    assert Counter(spread(found, ("key",))) == Counter(found)
