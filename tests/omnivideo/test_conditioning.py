from __future__ import annotations

from math import prod

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omnivideo.conditioning import Grid, plan_condition
from omnivideo.errors import InputError

GRIDS = st.none() | st.tuples(st.integers(1, 24), st.integers(1, 40), st.integers(1, 40))


@given(st.integers(1, 512), GRIDS, st.integers(1, 512), st.integers(1, 6000))
def test_instruction_is_never_cut(visual: int, source: Grid | None, text: int, budget: int) -> None:
    """A plan fits the budget with the whole text, pools the source before visual tokens, or is refused."""
    least = text + 1 + (source is not None)
    if least > budget:
        with pytest.raises(InputError, match=f"at least {least} tokens"):
            plan_condition(visual, source, text, budget)
        return
    plan = plan_condition(visual, source, text, budget)
    assert plan.text == text
    assert plan.total <= budget
    if plan.visual < visual:
        assert plan.source in {None, (1, 1, 1)}
    if visual + text + (prod(source) if source else 0) <= budget:
        assert (plan.visual, plan.source) == (visual, source)


@given(st.integers(1, 256), GRIDS, st.integers(1, 512), st.integers(600, 6000), st.integers(0, 500))
def test_more_budget_never_gives_less(
    visual: int, source: Grid | None, text: int, budget: int, more: int
) -> None:
    """Raising the budget never lowers the number of condition tokens."""
    small, large = (plan_condition(visual, source, text, b) for b in (budget, budget + more))
    assert large.total >= small.total


def test_a_480p_edit_fits_the_default_budget() -> None:
    """81 frames of 480×832 as source are pooled in space by two and leave 512 text tokens whole."""
    plan = plan_condition(256, (21, 15, 26), 512, 4096)
    assert plan.source == (21, 8, 13)
    assert plan.total == 256 + 21 * 8 * 13 + 512
