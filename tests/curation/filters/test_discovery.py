from __future__ import annotations

from pathlib import Path

import pytest

from curation import filters
from curation.errors import InputError
from curation.media.records import ScanRequest
from curation.media.scan import scan

MINE = '''"""Rejects dark clips. Source: our own eyes."""
from typing import ClassVar

from curation.filters import Clip, Cost, Filter, Frames


class Darkness(Filter):
    cost: ClassVar = Cost.FRAMES
    needs: ClassVar = (Frames(count=3, long_side=64),)
    scores: ClassVar = ("luma",)
    thresholds: ClassVar = {"min_luma": ("luma", "min")}
    min_luma: float = 40.0

    def measure(self, clip: Clip) -> dict[str, float]:
        return {"luma": float(clip.frames(self.needs[0]).mean())}
'''


@pytest.fixture
def mine(tmp_path: Path) -> str:
    """The path of a user's own filter."""
    path = tmp_path / "darkness.py"
    path.write_text(MINE)
    return str(path)


def test_a_rule_is_found_by_its_file() -> None:
    """The name of a rule is the name of its file."""
    assert [filters.load(name).name() for name in filters.names()] == list(filters.names())
    assert "motion" in filters.names()


def test_an_unknown_rule_names_its_near_match() -> None:
    """A misspelt rule is an error that says what may have been meant."""
    with pytest.raises(InputError, match="'motoin'; did you mean motion"):
        filters.load("motoin")


def test_an_unknown_field_names_its_near_match() -> None:
    """A misspelt threshold is an error that says what may have been meant."""
    with pytest.raises(InputError, match="motion: unknown field 'minflow'; did you mean min_flow"):
        filters.parse([{"motion": {"minflow": 1}}])


def test_a_threshold_on_a_score_that_is_not_there_is_refused(tmp_path: Path) -> None:
    """A filter whose threshold bounds a score it does not have is an error before any work."""
    path = tmp_path / "darkness.py"
    path.write_text(MINE.replace('("luma", "min")', '("lumma", "min")'))
    with pytest.raises(InputError, match="there is no 'lumma'; did you mean luma"):
        filters.load(str(path))


def test_a_wrong_value_names_its_field() -> None:
    """A value of the wrong type is an error that names filter and field."""
    with pytest.raises(InputError, match="duration: min_seconds: "):
        filters.parse([{"duration": {"min_seconds": "long"}}])


@pytest.mark.parametrize("entry", [{"motion": {}, "quality": {}}, {}, {"motion": 3}, 7])
def test_an_entry_has_one_name_and_fields(entry: object) -> None:
    """An entry that is not one name with its fields is the user's error."""
    with pytest.raises(InputError):
        filters.parse([entry])  # type: ignore[list-item]


def test_a_users_file_is_a_filter(mine: str, images: Path) -> None:
    """Dropping a file anywhere and naming its path is all that a new filter needs."""
    rules = filters.parse([{mine: {"min_luma": 200}}])
    clip = scan(images / "rocket.jpg", ScanRequest(filters=rules), 10**8).clips[0]
    assert (clip["filter"], clip["reason"]) == ("darkness", "below_min_luma")
    assert 0 < clip["scores"]["darkness_luma"] < 200


def test_a_users_filter_survives_a_request(mine: str) -> None:
    """A request carries a user's filter by its path and its fields."""
    request = ScanRequest(filters=filters.parse([{mine: {"min_luma": 7}}]))
    assert ScanRequest.from_json(request.to_json()) == request


def test_two_filters_of_one_name_are_an_error(mine: str) -> None:
    """A rule named twice, or a user's file named like another rule, cannot share its scores."""
    with pytest.raises(InputError, match="2 filters are named 'darkness'"):
        filters.parse([mine, mine])


def test_a_missing_file_is_an_error() -> None:
    """A path without a file says so."""
    with pytest.raises(InputError, match="no filter file"):
        filters.load("./nowhere.py")


@pytest.mark.parametrize(("text", "says"), [("x = 1", "defines 0 filters"), ("1 +", "SyntaxError")])
def test_a_broken_file_is_an_error(tmp_path: Path, text: str, says: str) -> None:
    """A file without a filter, or one that does not run, says what is wrong with it."""
    path = tmp_path / "broken.py"
    path.write_text(text)
    with pytest.raises(InputError, match=says):
        filters.load(str(path))
