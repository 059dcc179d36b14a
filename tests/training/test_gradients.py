from __future__ import annotations

import pytest

from training.gradients import Difference, compare


def test_the_self_test_passes_on_this_machine() -> None:
    """Two processes train the same by DeepSpeed as by plain PyTorch."""
    assert compare().passed


@pytest.mark.parametrize("wrong", [Difference(0.3, 0.0), Difference(0.0, float("nan"))])
def test_a_difference_does_not_pass(wrong: Difference) -> None:
    """In gradients or in weights, or one that is no number."""
    assert not wrong.passed
