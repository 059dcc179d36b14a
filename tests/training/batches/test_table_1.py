"""Training batches against the mix of the paper's Table 1."""

from __future__ import annotations

from collections import Counter

import pytest

from training.batches.batch_plan import BatchPlan, Stream
from training.config import TABLE_1, Task
from training.data.samples import Bucket, Sample

CRITICAL = 20.515  # of chi-square with 5 degrees of freedom: one correct mix in a thousand is beyond it


def streams(counts: dict[Task, int]) -> dict[Stream, list[Sample]]:
    """Samples of each task, images in two shapes and videos in one."""
    shapes = {
        "image": [Bucket("image", 64, 64, 1), Bucket("image", 64, 128, 1)],
        "video": [Bucket("video", 64, 64, 9)],
    }
    found: dict[Stream, list[Sample]] = {}
    for task, count in counts.items():
        for number in range(count):
            sample = Sample(f"{task}-{number:05d}", task, 64, 64, 2.0, "prompt")
            buckets = shapes[sample.kind]
            found.setdefault((buckets[number % len(buckets)], task), []).append(sample)
    return found


@pytest.mark.parametrize("batch_size", [8, 64])
def test_batches_have_the_mix_of_table_1(batch_size: int) -> None:
    """By a chi-square test, what is drawn follows Table 1, however many samples each task has."""
    counts: dict[Task, int] = dict(zip(TABLE_1, (50, 900, 300, 40, 2000, 700), strict=True))
    plan = BatchPlan(streams(counts), TABLE_1, batch_size, ("seed", 0))
    drawn = Counter(draw.sample.task for step in range(400) for draw in plan.batch(step).draws)
    whole, total = sum(TABLE_1.values()), sum(drawn.values())
    expected = {task: share / whole * total for task, share in TABLE_1.items()}
    statistic = sum((drawn[task] - count) ** 2 / count for task, count in expected.items())
    assert total == 400 * batch_size
    assert statistic < CRITICAL
