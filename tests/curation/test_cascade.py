from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import pytest

from curation.cascade import Cascade
from curation.errors import InputError, MediaError
from curation.filters import Clip, Cost, Filter
from curation.media.sampler import SampledClip

CLIP = SampledClip("video", 64, 48, 25.0, 50, 0.0, 2.0, {})
ran: list[str] = []


class Cheap(Filter):
    cost: ClassVar = Cost.PROBE
    scores: ClassVar = ("value",)
    thresholds: ClassVar[Mapping[str, tuple[str, str]]] = {"min_value": ("value", "min")}
    min_value: float | None = 1.0
    value: float = 2.0
    fails: bool = False

    @classmethod
    def name(cls) -> str:
        """Told apart by class: all stand in one file."""
        return cls.__name__.lower()

    def measure(self, clip: Clip) -> dict[str, float]:
        """The configured value, or an exception."""
        ran.append(self.name())
        if self.fails:
            raise ZeroDivisionError("division by zero")
        return {"value": self.value}


class Dear(Cheap):
    cost: ClassVar = Cost.MODEL


class Pictures(Cheap):
    applies_to: ClassVar = ("image",)


class Missing(Cheap):
    def measure(self, clip: Clip) -> dict[str, float]:
        """Cannot."""
        raise InputError("no model", "filters", "install it")


@pytest.fixture(autouse=True)
def _forget() -> None:
    ran.clear()


def test_cheap_filters_run_first() -> None:
    """Filters run by cost, whatever the order of the recipe."""
    Cascade([Dear(), Cheap()], score_all=False).judge(CLIP)
    assert ran == ["cheap", "dear"]


def test_a_rejection_ends_the_cascade() -> None:
    """After the first rejection the dear filters do not run."""
    verdict = Cascade([Dear(), Cheap(value=0)], score_all=False).judge(CLIP)
    assert (verdict.filter, verdict.reason, verdict.scores) == (
        "cheap",
        "below_min_value",
        {"cheap_value": 0.0},
    )
    assert ran == ["cheap"]


def test_score_all_scores_all() -> None:
    """With score_all each filter scores, and the first that rejects still decides."""
    verdict = Cascade([Dear(value=0), Cheap(value=0)], score_all=True).judge(CLIP)
    assert verdict.filter == "cheap"
    assert set(verdict.scores) == {"cheap_value", "dear_value"}


def test_filters_of_another_kind_are_left_out() -> None:
    """A filter for images has no opinion about a video."""
    assert Cascade([Pictures(value=0)], score_all=False).judge(CLIP).filter is None


def test_a_threshold_of_none_rejects_nothing() -> None:
    """Switching a threshold off keeps the score and drops the decision."""
    verdict = Cascade([Cheap(value=0, min_value=None)], score_all=False).judge(CLIP)
    assert (verdict.filter, verdict.scores) == (None, {"cheap_value": 0.0})


def test_an_exception_is_an_error_and_no_score() -> None:
    """A filter that raises makes an error that names it."""
    with pytest.raises(MediaError, match=r"filter_failed: cheap: ZeroDivisionError"):
        Cascade([Cheap(fails=True)], score_all=False).judge(CLIP)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_score_must_be_finite(value: float) -> None:
    """Neither infinity nor no number can be stored as a score."""
    with pytest.raises(MediaError, match="not finite"):
        Cascade([Cheap(value=value)], score_all=False).judge(CLIP)


def test_a_missing_model_stops_the_run() -> None:
    """What the user must install is not blamed on the media."""
    with pytest.raises(InputError, match="no model"):
        Cascade([Missing()], score_all=False).judge(CLIP)


def test_seconds_are_counted_by_filter() -> None:
    """The cascade tells what each filter cost."""
    cascade = Cascade([Cheap()], score_all=False)
    cascade.judge(CLIP)
    assert cascade.seconds["cheap"] > 0
