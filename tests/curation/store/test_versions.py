"""What changed between versions, and going back to one."""

from __future__ import annotations

from pathlib import Path

import pytest

from curation.dataset import open_dataset
from curation.errors import InputError
from curation.store.versions import diff, rollback

from ..published_rows import a_row, ids, publish_rows


@pytest.fixture
def dataset(tmp_path: Path) -> str:
    """Version 0 has two kept rows; version 1 rejects one of them, knows a new score, and has a new row."""
    uri = str(tmp_path)
    publish_rows(uri, [a_row("a", 1), a_row("a", 2)], ["motion_flow"], run_id="one")
    rows = [a_row("a", 1, "rejected", motion_flow=0.1), a_row("b", 1, zoo_animals=3.0)]
    publish_rows(uri, rows, ["motion_flow", "zoo_animals"], {"a-1"}, run_id="two")
    return uri


def test_diff_says_what_came_went_and_changed(dataset: str) -> None:
    """Between versions each row is added, removed, changed from one verdict to another, or the same."""
    found = diff(dataset, 0)
    assert (found["from"], found["to"]) == (0, 1)
    assert found["added"] == {"kept": 1}
    assert found["removed"] == {}
    assert found["changed"] == {"kept -> rejected: motion": 1}
    assert found["examples"] == {"kept -> rejected: motion": ["a-1"]}
    assert found["funnel"]["to"]["rejected"] == {"motion": 1}
    assert diff(dataset, 1, 0)["removed"] == {"kept": 1}


def test_rollback_repeats_an_earlier_version(dataset: str) -> None:
    """The newest version has the rows and the lineage of the one wanted; those in between stay readable."""
    result = rollback(dataset, 0)
    assert (result["version"], result["funnel"]["kept"]) == (2, 2)
    newest = open_dataset(dataset)
    assert ids(newest) == ids(open_dataset(dataset, 0))
    assert newest.metadata["run_id"] == "one"
    assert ids(open_dataset(dataset, 1)) == ["a-1", "a-2", "b-1"]


def test_publishing_goes_on_after_a_rollback(dataset: str) -> None:
    """New rows come on top of the version that was gone back to, with their own scores."""
    rollback(dataset, 0)
    newest = publish_rows(dataset, [a_row("c", 1, zoo_animals=1.0)], ["zoo_animals"])
    assert newest.version == 3
    assert ids(newest) == ["a-1", "a-2", "c-1"]


def test_versions_that_do_not_exist_are_input_errors(dataset: str) -> None:
    """A version that never was, or is the newest already, is said in one line."""
    with pytest.raises(InputError, match="no version 9"):
        rollback(dataset, 9)
    with pytest.raises(InputError, match="is at version 1 already"):
        rollback(dataset, 1)
    with pytest.raises(InputError, match="no version 9"):
        diff(dataset, 0, 9)
