from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from training.summary.chart import HEIGHT, MOST_POINTS, WIDTH, chart, thinned

values = st.floats(-1e6, 1e6, allow_nan=False)


@given(st.lists(st.tuples(st.integers(0, 5000), values), min_size=1, max_size=400), st.integers(0, 5000))
def test_curves_stay_inside_their_chart(points: list[tuple[int, float]], steps: int) -> None:
    """Whatever the losses are, each place that is drawn lies within the picture, ticks too."""
    steps = max(steps, *(x for x, _ in points), 1)
    drawn = chart({"loss": sorted(points), "empty": []}, steps)
    assert drawn is not None
    (line,) = drawn["lines"]
    places = [tuple(map(float, pair)) for pair in re.findall(r"([-\d.]+) ([-\d.]+)", line["path"])]
    assert all(0 <= x <= WIDTH and 0 <= y <= HEIGHT for x, y in places)
    assert all(0 <= tick["at"] <= HEIGHT for tick in drawn["ys"])
    assert len(drawn["xs"]) <= 7


@given(st.lists(values, min_size=1, max_size=2000))
def test_long_curves_are_thinned_to_their_means(ys: list[float]) -> None:
    """Not more points than can be told apart; none lies outside the values."""
    found = thinned(list(enumerate(ys)))
    assert len(found) <= MOST_POINTS
    assert all(min(ys) - 1e-6 <= y <= max(ys) + 1e-6 for _, y in found)


def test_losses_that_span_decades_are_drawn_on_a_logarithmic_scale() -> None:
    """Ticks are then powers of ten and threes; nothing to draw is no chart."""
    drawn = chart({"loss": [(1, 100.0), (2, 1.0), (3, 0.1)]}, 3)
    assert drawn is not None
    assert {tick["label"] for tick in drawn["ys"]} >= {"0.1", "1", "10", "100"}
    assert chart({"loss": []}, 3) is None
