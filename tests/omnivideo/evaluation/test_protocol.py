"""GenEval's rules on detections made by hand."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omnivideo.evaluation.protocol import Box, Detection, judge, overall, relations

numbers = st.floats(0, 100, allow_nan=False)


def box(x: float, y: float, size: float = 10.0) -> Box:
    """A square box around a centre."""
    return Box(x - size / 2, y - size / 2, x + size / 2, y + size / 2)


def seen(name: str, x: float = 50, y: float = 50, score: float = 0.9, color: str = "red") -> Detection:
    """A detection."""
    return Detection(name, box(x, y), score, color)


def test_counting_fails_at_one_more() -> None:
    """Three are three, neither two nor four."""
    claims = {"include": [{"class": "cup", "count": 3}], "exclude": [{"class": "cup", "count": 4}]}
    held = [judge(claims, [seen("cup", 20 * i) for i in range(n)]) for n in (2, 3, 4)]
    assert [verdict.correct for verdict in held] == [False, True, False]


def test_only_the_surest_are_looked_at() -> None:
    """A second, less sure thing of the right colour does not help."""
    claims = {"include": [{"class": "cup", "count": 1, "color": "red"}]}
    assert judge(claims, [seen("cup", score=0.5, color="blue"), seen("cup", score=0.9)]).correct
    assert not judge(claims, [seen("cup", score=0.9, color="blue"), seen("cup", score=0.5)]).correct


def test_a_position_needs_its_target() -> None:
    """A thing is left of nothing, and left of what is right of it."""
    include = [{"class": "dog", "count": 1}, {"class": "cup", "count": 1, "position": ["left of", 0]}]
    assert judge({"include": include}, [seen("dog", 80), seen("cup", 20)]).correct
    assert "above" in judge({"include": include}, [seen("dog", 50, 80), seen("cup", 50, 20)]).reason
    assert "nothing" in judge({"include": include}, [seen("cup")]).reason


@pytest.mark.parametrize(
    ("x", "y", "held"), [(20, 50, ["left of"]), (80, 50, ["right of"]), (50, 20, ["above"])]
)
def test_relations_are_along_one_direction(x: float, y: float, held: list[str]) -> None:
    """What is straight aside is aside alone."""
    assert relations(box(x, y), box(50, 50)) == held


def test_what_is_near_has_no_relation() -> None:
    """Centres closer than a tenth of the summed sizes are neither left nor right; diagonals may be both."""
    assert relations(box(51, 50), box(50, 50)) == []
    assert relations(box(0, 0, 2), box(50, 50, 2)) == ["left of", "above"]


@given(numbers, numbers, numbers, numbers)
@settings(max_examples=50, deadline=None)
def test_relations_turn_around(x: float, y: float, at_x: float, at_y: float) -> None:
    """If one is left of another, that is right of it, and so for above and below."""
    opposite = {"left of": "right of", "right of": "left of", "above": "below", "below": "above"}
    one, other = box(x, y), box(at_x, at_y)
    assert sorted(opposite[held] for held in relations(one, other)) == sorted(relations(other, one))


def test_overall_is_the_mean_of_categories() -> None:
    """Each category weighs the same, however many prompts it has; motion is none of GenEval's."""
    assert overall({"single_object": 1.0, "counting": 0.0, "motion": 0.0}) == 0.5
    assert overall({}) is None
