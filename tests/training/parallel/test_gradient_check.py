from __future__ import annotations

import pytest

from training.parallel.gradient_check import CASES, Case, Difference, compare

PLANTED = Case(zero=2, sequence_parallel=2, scale=1.01)


@pytest.fixture(scope="module")
def found() -> dict[Case, Difference]:
    """The self-test's findings on this machine, and that of a planted fault."""
    return compare([*CASES, PLANTED])


def test_the_self_test_passes_on_this_machine(found: dict[Case, Difference]) -> None:
    """Two processes train the same by each stage of ZeRO, sequences whole or shared, as by plain PyTorch."""
    assert set(CASES) == {Case(zero, each) for zero in (1, 2, 3) for each in (1, 2)}
    assert {case: found[case] for case in CASES if not found[case].passed} == {}


def test_a_wrong_scale_is_caught(found: dict[Case, Difference]) -> None:
    """Losses a hundredth too large, as a wrong average would make them, do not pass."""
    assert not found[PLANTED].passed
    assert found[PLANTED].gradient_norm == pytest.approx(0.01, rel=0.01)


@pytest.mark.parametrize("wrong", [Difference(0.3, 0.0, 0.0), Difference(0.0, 0.0, float("nan"))])
def test_a_difference_does_not_pass(wrong: Difference) -> None:
    """In gradients or in weights, or one that is no number."""
    assert not wrong.passed
