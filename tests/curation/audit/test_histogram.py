"""Where the bins lie."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from curation.audit.charts import river
from curation.audit.content import TABLE_1
from curation.audit.histogram import choose_axis, ticks

_values = st.floats(min_value=-1e6, max_value=1e6, allow_nan=False).map(lambda value: round(value, 4))


@given(
    spread=st.tuples(_values, _values, _values).map(sorted),
    marks=st.lists(_values, max_size=2, unique=True),
    whole=st.booleans(),
)
@example(spread=[-78.0, -39.0, -39.0], marks=[1.0, 0.0], whole=False)
def test_thresholds_lie_on_edges(spread: list[float], marks: list[float], whole: bool) -> None:
    """The axis covers the values with a sane number of bins; the first threshold on it lies on an edge."""
    low, median, high = spread
    seen = {"low": low, "median": median, "high": high, "min": low, "max": high, "whole": whole, "count": 400}
    axis = choose_axis(seen, [(mark, "min") for mark in marks])
    assert 1 <= axis.last + 1 - axis.first <= 400
    assert axis.position(low) >= -1e-6
    assert axis.position(high) <= 1 + 1e-6
    inside = [mark for mark in marks if 0 <= axis.position(mark) <= 1]
    if inside:
        bins = axis.position(inside[0]) * (axis.last + 1 - axis.first)
        assert bins == pytest.approx(round(bins), abs=1e-3)


def test_a_skewed_score_is_drawn_over_its_logarithm() -> None:
    """Scores over several powers of ten, most of them small, get a logarithmic axis; even ones do not."""
    skewed = {"low": 0.01, "median": 0.5, "high": 90.0, "min": 0.001, "max": 100.0, "count": 400}
    assert choose_axis(skewed, [(0.3, "min")]).log
    assert not choose_axis(skewed | {"median": 45.0}, [(0.3, "min")]).log
    assert not choose_axis(skewed, [(0.0, "min")]).log


@pytest.mark.parametrize(("low", "high", "log"), [(0.0, 1.0, False), (0.05, 30.0, True), (3.0, 3.0, False)])
def test_ticks_are_round_and_inside(low: float, high: float, log: bool) -> None:
    """Ticks lie between the ends and are short to write."""
    found = ticks(low, high, log)
    assert 1 <= len(found) <= 12
    assert all(low <= value <= high and len(f"{value:g}") <= 5 for value in found)


def test_the_stream_is_drawn_to_scale() -> None:
    """What falls off the funnel and what stays of it have heights in proportion to their counts."""
    steps = [
        {"verdict": "rejected", "name": "a", "in": 100, "dropped": 25, "left": 75, "share": 0.25},
        {"verdict": "error", "name": "b", "in": 75, "dropped": 50, "left": 25, "share": 0.67},
    ]
    drawn = river({"clips": 100, "kept": 25, "steps": steps})
    first, second = (step["thick"] for step in drawn["steps"])
    assert second == 2 * first
    assert first + second + drawn["kept"]["height"] == drawn["trunk_height"]


def test_table_1_is_the_papers() -> None:
    """The shares are those printed in the paper; they add up to all but its rounding."""
    assert sum(TABLE_1.values()) == pytest.approx(1, abs=2e-4)
    assert TABLE_1["image_understanding"] == 0.379
