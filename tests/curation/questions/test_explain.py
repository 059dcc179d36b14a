"""Explaining clips of a dataset that real media was curated into."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from curation.errors import InputError
from curation.questions.explain import explain
from curation.questions.whatif import look
from curation.run import curate
from curation.store.republish import republish

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


def test_a_clip_that_waits_to_be_cut_is_said_to(here: None, media: Path, tmp_path: Path) -> None:
    """Under looser thresholds that were only published it stays rejected; a run with them brings it back."""
    out = str(tmp_path / "dataset")

    def filters(side: int, sharpness: float) -> list[Any]:
        quality = {"min_sharpness": sharpness, "min_block_quality": None}
        return [{"resolution": {"min_short_side": side}}, {"quality": quality}]

    def clip(name: str) -> dict[str, Any]:
        (found,) = explain(out, name)["clips"]
        return {key: found[key] for key in ("verdict", "waiting")}

    rejected = {"verdict": "rejected", "waiting": None}
    curate(request(media, Path(out), filters=filters(160, 25)), silent)
    assert clip("coins.png") == clip("carphone_pristine.mp4") == rejected
    republish(look(out, ["quality.min_sharpness=20", "resolution.min_short_side=200"]), "two")
    assert clip("coins.png") == {"verdict": "rejected", "waiting": {"not_scored": []}}
    assert clip("text.png") == clip("carphone_pristine.mp4") == rejected
    republish(look(out, ["resolution.min_short_side=140"]), "three")
    lacking = {"verdict": "rejected", "waiting": {"not_scored": ["quality_sharpness", "quality_noise"]}}
    assert clip("carphone_pristine.mp4") == lacking
    curate(request(media, Path(out), filters=filters(140, 20), run_id="four"), silent)
    assert clip("coins.png") == {"verdict": "kept", "waiting": None}
    assert clip("carphone_pristine.mp4") == rejected  # its sharpness is known by now


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
