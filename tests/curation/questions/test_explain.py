"""Explaining clips of a dataset that real media was curated into."""

from __future__ import annotations

from pathlib import Path

import pytest

from curation.errors import InputError
from curation.questions.explain import explain
from curation.run import curate

from ..published_rows import a_row, publish_rows
from ..whole_run import request, silent


def test_each_clip_of_a_file_with_scores_and_thresholds(here: None, media: Path, tmp_path: Path) -> None:
    """A file's name finds its clips; scores stand beside thresholds; a duplicate names what it repeats."""
    out = tmp_path / "dataset"
    curate(request(media, out, filters=["duration", {"resolution": {"min_short_side": 300}}]), silent)
    (coins,) = explain(str(out), "coins.png")["clips"]
    assert (coins["verdict"], coins["captioner"]) == ("kept", "omnivideo/describe@1")
    (check,) = coins["checks"]
    assert (check["filter"], check["field"], check["threshold"]) == ("resolution", "min_short_side", 300)
    assert (check["value"], check["passes"]) == (303, True)
    assert coins["lineage"]["version"] == 0
    (video,) = explain(str(out), "carphone_pristine.mp4")["clips"]
    assert (video["verdict"], video["filter"], video["reason"]) == ("rejected", "resolution", "too_small")
    fates = {(one["field"], one["passes"]) for one in video["checks"]}
    assert ("min_short_side", False) in fates
    assert ("min_seconds", None) in fates  # never scored: the header was enough
    (copy,) = explain(str(out), str(media / "same-coins.png"))["clips"]
    assert copy["duplicate_of"] == coins["uri"]
    (broken,) = explain(str(out), "broken.mp4")["clips"]
    assert (broken["verdict"], broken["checks"]) == ("error", [])
    assert broken["detail"]
    sample_id = coins["sample_id"]
    assert explain(str(out), sample_id[:8])["clips"] == [coins] == explain(str(out), sample_id)["clips"]


def test_what_fits_nothing_is_refused_with_what_is_near(tmp_path: Path) -> None:
    """An unknown name is answered with names like it, the start of several ids with some of them."""
    rows = [a_row("holiday", number) for number in range(3)]
    uri = publish_rows(str(tmp_path), rows, []).uri
    with pytest.raises(InputError, match=r"no sample id and no file 'holidays\.mp4'") as caught:
        explain(uri, "holidays.mp4")
    assert "holiday.mp4" in caught.value.next_step
    with pytest.raises(InputError, match="3 sample ids begin with holi"):
        explain(uri, "holi")
    with pytest.raises(InputError, match="no sample id"):
        explain(uri, "' OR 1=1 --")


def test_a_row_without_a_commit_that_knows_its_recipe_is_still_explained(tmp_path: Path) -> None:
    """Where no commit holds the recipe, the scores are shown without thresholds."""
    row = a_row("a", 1, motion_mean_flow=2.0) | {"recipe_sha256": "lost"}
    uri = publish_rows(str(tmp_path), [row], ["motion_mean_flow"], run_id="one").uri
    (clip,) = explain(uri, "a-1")["clips"]
    assert clip["checks"] == []
    assert clip["unbounded"] == [{"filter": None, "score": "motion_mean_flow", "value": 2.0}]
    assert clip["lineage"]["version"] is None
