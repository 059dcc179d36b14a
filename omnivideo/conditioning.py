"""The condition-budget planner: what the decoder's cross-attention is given when not everything fits.

The instruction is never cut. Source latents are pooled first (space before time), then visual tokens; what
still does not fit is an error with its figures, because a silently shortened condition trains the wrong
thing.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from omnivideo.errors import InputError

Grid = tuple[int, int, int]


@dataclass(frozen=True)
class ConditionPlan:
    """Tokens of each kind after pooling; `source` is a grid (frames, rows, columns) or None without a
    source.
    """

    visual: int
    source: Grid | None
    text: int

    @property
    def total(self) -> int:
        """All tokens of the condition."""
        return self.visual + (prod(self.source) if self.source else 0) + self.text


def plan_condition(visual: int, source: Grid | None, text: int, budget: int) -> ConditionPlan:
    """Fit `visual` + source + `text` tokens into `budget`. Raises InputError when the least still exceeds
    it.
    """
    plan = ConditionPlan(visual, source, text)
    spatial = 1
    while plan.total > budget and plan.source is not None and plan.source != (1, 1, 1):
        spatial += 1
        assert source is not None
        plan = ConditionPlan(visual, _pooled(source, temporal=(spatial + 1) // 2, spatial=spatial), text)
    while plan.total > budget and plan.visual > 1:
        plan = ConditionPlan(-(-plan.visual // 2), plan.source, text)
    if plan.total > budget:
        raise InputError(
            f"the condition needs at least {plan.total} tokens ({text} of text, "
            f"{plan.total - text} of vision) but condition_budget is {budget}",
            "condition",
            f"Raise condition_budget to {plan.total} or more",
        )
    return plan


def _pooled(grid: Grid, temporal: int, spatial: int) -> Grid:
    frames, rows, columns = grid
    return -(-frames // temporal), -(-rows // spatial), -(-columns // spatial)
