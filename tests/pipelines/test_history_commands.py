"""`versions`, `diff` and `rollback` as a user reads them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.curation.published_rows import a_row, publish_rows
from tests.pipelines.in_process import ask, refused, say


@pytest.fixture
def dataset(tmp_path: Path) -> str:
    """Version 1 rejects one of the two rows of version 0 and has a new one."""
    uri = str(tmp_path / "dataset")
    publish_rows(uri, [a_row("a", 1), a_row("a", 2)], ["motion_mean_flow"], run_id="one")
    rows = [a_row("a", 1, "rejected", motion_mean_flow=0.01), a_row("b", 1)]
    publish_rows(uri, rows, ["motion_mean_flow"], {"a-1"}, run_id="two")
    return uri


def test_diff_shows_funnels_and_moves(dataset: str) -> None:
    """Both funnels stand beside each other, then every kind of change with its count and some ids."""
    text = say("diff", dataset, "0")
    assert "version 0 -> 1" in text
    assert "rejected: motion               0 ->       1  +1" in text
    assert "kept -> rejected: motion" in text
    assert "a-1" in text
    assert ask("diff", dataset, "0", "1")["changed"] == {"kept -> rejected: motion": 1}


def test_rollback_makes_a_version(dataset: str) -> None:
    """Going back is a new version, which the list shows as what it is."""
    assert ask("rollback", dataset, "0")["version"] == 2
    listed = ask("versions", dataset)["versions"]
    assert [(row["version"], row["rolled_back_to"]) for row in listed] == [(2, 0), (1, None), (0, None)]
    lines = say("versions", dataset).splitlines()
    assert [line.partition("recipe ")[2].split() for line in lines] == [
        ["one", "rollback", "to", "0"],
        ["two"],
        ["one"],
    ]
    assert "is version 1 again: 2 clips kept" in say("rollback", dataset, "1")


def test_versions_that_are_not_there_are_refused(dataset: str) -> None:
    """A wrong version's number is bad input, said in one line."""
    assert "no version 9" in refused("rollback", dataset, "9")
    assert "no version 9" in refused("diff", dataset, "9")
