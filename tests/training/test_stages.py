"""The rate of a phase, step by step."""

from __future__ import annotations

import pytest

from training.config import StageSection
from training.stages import learning_rate


def rates(**settings: float) -> list[float]:
    """Of each step."""
    section = StageSection.model_validate({"learning_rate": 1.0, "steps": 11, **settings})
    return [learning_rate(section, step) for step in range(section.steps)]


def test_the_rate_is_constant_unless_told_otherwise() -> None:
    """As in the paper."""
    assert rates() == [1.0] * 11


def test_after_warming_up_the_rate_falls_as_a_cosine() -> None:
    """Half way it has lost half of what it will lose; it never rises, nor goes below its end."""
    falling = rates(warmup_steps=1, final_rate=0.2)
    assert falling[0] == 0.5
    assert falling[1] == 1.0
    assert falling[6] == pytest.approx(0.6)
    assert falling[1:] == sorted(falling[1:], reverse=True)
    assert 0.2 < falling[-1] < 0.25
