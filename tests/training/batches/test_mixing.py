"""Weights, temperature, caps and repetition of a task's datasets."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.batches.mixing import mixed
from training.config import MixSection
from training.data.samples import Sample


def samples(**counts: int) -> list[Sample]:
    """So many image edits of each dataset."""
    return [
        Sample(f"{name}-{n:04d}", "image_edit", 64, 64, 0.0, "x", source=name)
        for name, count in counts.items()
        for n in range(count)
    ]


def drawn(found: list[Sample]) -> Counter[str]:
    """Draws of each dataset in one pass."""
    return Counter(sample.source for sample in found)


def test_weights_repeat_and_leave_out() -> None:
    """A dataset of twice the weight is drawn twice a pass, one and a half means every second once more."""
    mix = MixSection.model_validate(
        {"datasets": {"b": {"weight": 2}, "c": {"weight": 1.5}, "d": {"weight": 0}}}
    )
    found = drawn(mixed(samples(a=100, b=100, c=1000, d=100), mix))
    assert (found["a"], found["b"], found["d"]) == (100, 200, 0)
    assert found["c"] == pytest.approx(1500, abs=60)


def test_temperature_evens_out_and_caps_hold() -> None:
    """At temperature 2 a hundredth of the size has a tenth of the share, up to the limit of repeats."""
    found = drawn(mixed(samples(a=1000, b=10), MixSection(temperature=2.0, max_repeats=50.0)))
    assert (found["a"], found["b"]) == (1000, 100)
    assert drawn(mixed(samples(a=1000, b=10), MixSection(temperature=2.0)))["b"] == 40
    capped = MixSection.model_validate({"datasets": {"a": {"max_samples": 30}}})
    assert drawn(mixed(samples(a=1000, b=10), capped)) == {"a": 30, "b": 10}


@given(st.permutations(range(40)), st.floats(1.0, 5.0))
def test_order_does_not_matter_and_nothing_is_lost(order: list[int], temperature: float) -> None:
    """The same samples in any order give the same pass, which has each at least once."""
    members = samples(a=30, b=10)
    mix = MixSection(temperature=temperature)
    found = mixed([members[n] for n in order], mix)
    if temperature > 1.0:
        assert found == mixed(members, mix)
    assert {one.sample_id for one in found} == {one.sample_id for one in members}
