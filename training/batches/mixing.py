"""How often a task's datasets are drawn against each other: weights, temperature, caps and repetition.

A dataset's share of its task is as its weight times its samples to the power 1 / temperature: at 1 by size,
far above all alike (as multilingual models sample languages, Arivazhagan et al. 2019, arXiv:1907.05019).
The dataset that its share asks for least goes through each pass once; others so many times as much, up to a
limit.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

from training.config import DatasetMix, MixSection, Task
from training.data.samples import Sample

Group = tuple[Task, str]
PLAIN = DatasetMix()


def mixed(samples: Sequence[Sample], mix: MixSection) -> list[Sample]:
    """Return samples as often as one pass draws them; the same list for the same samples, in any order."""
    if not mix.datasets and mix.temperature == 1.0:
        return list(samples)
    groups: dict[Group, list[Sample]] = {}
    for sample in samples:
        groups.setdefault((sample.task, sample.source), []).append(sample)
    capped = {group: _capped(members, _of(mix, group)) for group, members in groups.items()}
    times = repeats({group: len(members) for group, members in capped.items()}, mix)
    drawn = (one for group, members in capped.items() for one in _repeated(members, times.get(group, 0.0)))
    return sorted(drawn, key=lambda sample: (sample.sample_id, sample.task))


def repeats(counts: dict[Group, int], mix: MixSection) -> dict[Group, float]:
    """Return how often one pass draws each sample of a dataset in a task; none of those without weight."""
    wanted = {
        group: _of(mix, group).weight * count ** (1 / mix.temperature) / count
        for group, count in counts.items()
        if count and _of(mix, group).weight > 0
    }
    found = {}
    for group, often in wanted.items():
        least = min(other for (task, _), other in wanted.items() if task == group[0])
        found[group] = min(often / least, mix.max_repeats)
    return found


def _of(mix: MixSection, group: Group) -> DatasetMix:
    return mix.datasets.get(group[1], PLAIN)


def _capped(members: Sequence[Sample], settings: DatasetMix) -> list[Sample]:
    """Keep so many samples at most, chosen by the hashes of their ids."""
    if settings.max_samples is None or len(members) <= settings.max_samples:
        return list(members)
    return sorted(members, key=lambda sample: _chance(sample.sample_id))[: settings.max_samples]


def _repeated(members: Iterable[Sample], times: float) -> Iterable[Sample]:
    whole, part = int(times), times % 1
    for sample in members:
        yield from [sample] * (whole + (_chance(f"again:{sample.sample_id}") < part))


def _chance(text: str) -> float:
    """A number in [0, 1), always the same for a text."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8]) / 2**64
