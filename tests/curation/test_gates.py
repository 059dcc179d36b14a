"""Gates on a dataset version."""

from __future__ import annotations

from typing import Any

import pytest

from curation.gates import GatesConfig, judge


def report(**new: Any) -> dict[str, Any]:
    """The part of an audit's report that gates look at; `new`: the rates of new clips, if there are any."""
    rates = [{"clips_of": "before", "clips": 90}, {"clips_of": "new", **new}] if new else []
    drift = [{"score": "motion_mean_flow", "psi": 0.3}, {"score": "quality_noise", "psi": None}]
    return {
        "funnel": {"kept": 40, "kept_share": 0.4, "error_share": 0.1},
        "changes": {"new": rates, "drift": drift} if new else None,
    }


@pytest.mark.parametrize(
    ("bounds", "holds"),
    [
        ({"min_kept_clips": 40}, True),
        ({"min_kept_clips": 41}, False),
        ({"min_kept_share": 0.4}, True),
        ({"min_kept_share": 0.41}, False),
        ({"max_error_share": 0.1}, True),
        ({"max_error_share": 0.09}, False),
    ],
)
def test_a_first_version_is_judged_by_all_its_clips(bounds: dict[str, float], holds: bool) -> None:
    """A value at the bound holds, one beyond it does not."""
    (gate,) = judge(report(), GatesConfig.model_validate(bounds))
    assert gate["holds"] is holds
    assert gate["what"] == "all clips"


def test_a_later_version_is_judged_by_its_new_clips() -> None:
    """Good clips of earlier versions do not hide that the new ones failed."""
    found = judge(
        report(clips=10, kept_share=0.0, error_share=1.0),
        GatesConfig(min_kept_share=0.3, max_error_share=0.2),
    )
    assert [(gate["holds"], gate["what"]) for gate in found] == [(False, "10 new clips")] * 2


def test_drift_is_that_of_the_worst_score() -> None:
    """The gate names the score; without enough clips to compare there is nothing to shut it."""
    config = GatesConfig(max_drift_psi=0.25)
    (gate,) = judge(report(clips=10, kept_share=0.5, error_share=0.0), config)
    assert (gate["holds"], gate["value"], gate["what"]) == (False, 0.3, "motion_mean_flow")
    (gate,) = judge(report(), config)
    assert (gate["holds"], gate["value"]) == (True, None)


def test_gates_that_are_not_set_are_not_there() -> None:
    """An empty section judges nothing."""
    assert judge(report(), GatesConfig()) == []
