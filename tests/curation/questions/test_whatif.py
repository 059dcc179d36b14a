"""Other thresholds over stored scores."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from curation.dataset import open_dataset
from curation.errors import InputError
from curation.questions.whatif import look
from curation.run import curate

from ..audit.synthetic_dataset import Spec, build
from ..published_rows import a_row, publish_rows
from ..whole_run import request, silent

NAMES = ["motion_mean_flow", "motion_flow_px", "quality_sharpness", "resolution_short_side"]


def clip(number: int, verdict: str = "kept", **other: Any) -> dict[str, Any]:
    """A row of a video that has come as far as its scores say."""
    scores = {name: value for name, value in other.items() if name in NAMES}
    columns = {name: value for name, value in other.items() if name not in NAMES}
    return a_row(str(number), number, verdict, **scores) | {"task": "text_to_video"} | columns


@pytest.fixture
def dataset(tmp_path: Path) -> str:
    """Five clips: two kept, one rejected last of all, one with a score missing, one by its file's header."""
    flow = {"motion_flow_px": 5.0, "resolution_short_side": 300.0, "quality_sharpness": 50.0}
    header = {"filter": "resolution", "reason": "too_small"}
    rows = [
        clip(0, motion_mean_flow=2.0, **flow),
        clip(1, motion_mean_flow=0.2, **flow),
        clip(2, "rejected", motion_mean_flow=0.05, **flow, reason="static"),
        clip(3, "rejected", quality_sharpness=9.0, resolution_short_side=300.0, filter="quality"),
        clip(4, "rejected", resolution_short_side=100.0, **header),
    ]
    recipe = {"filters": ["motion", {"quality": {"min_sharpness": 10.0}}, "resolution"]}
    publish_rows(str(tmp_path), rows, NAMES, recipe=recipe, recipe_sha256="r", run_id="one")
    return str(tmp_path)


def test_a_stricter_threshold_rejects(dataset: str) -> None:
    """Clips beyond the new bound go, with the filter's reason; the old funnel stands beside the new one."""
    found = look(dataset, ["motion.min_flow=0.5"])
    result = found.as_json()
    assert result["changes"] == [{"filter": "motion", "field": "min_flow", "old": 0.1, "new": 0.5}]
    assert result["funnel"]["from"]["kept"] == 2
    assert result["funnel"]["to"]["kept"] == 1
    assert result["changed"] == {"kept -> rejected: motion": 1}
    assert [clip["sample_id"] for clip in result["clips"]] == ["1-1"]
    assert {row["reason"] for _, row in found.moved()} == {"static"}
    assert (result["not_scored"], result["needs_media"]) == (0, 0)
    assert open_dataset(dataset).version == 0


def test_a_looser_threshold_brings_back_what_is_scored(dataset: str) -> None:
    """A clip that no other filter would reject comes back; one that later filters never saw is not scored."""
    result = look(dataset, ["motion.min_flow=null"]).as_json()
    assert (result["funnel"]["to"]["kept"], result["needs_media"], result["not_scored"]) == (3, 1, 0)
    result = look(dataset, ["quality.min_sharpness=5"]).as_json()
    assert (result["changed"], result["not_scored"]) == ({}, 1)
    both = look(dataset, ["quality.min_sharpness=5", "motion.min_flow=null"]).as_json()
    assert (both["funnel"]["to"]["kept"], both["not_scored"]) == (4, 0)  # what has no bound needs no score


def test_a_file_rejected_by_its_header_is_not_scored(dataset: str) -> None:
    """A video that was never cut into clips cannot be kept, even where all its scores are there."""
    result = look(dataset, ["resolution.min_short_side=64"]).as_json()
    assert (result["changed"], result["not_scored"]) == ({}, 1)


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ("motion.min_flw=1", "no threshold 'min_flw'"),
        ("moton.min_flow=1", "no filter 'moton'"),
        ("motion.method=1", "changes the scores themselves"),
        ("motion.min_flow=fast", "no number"),
        ("motion.min_flow=-1", "greater than or equal to 0"),
        ("motion", "not FILTER"),
    ],
)
def test_changes_that_make_no_sense_are_refused(dataset: str, change: str, what: str) -> None:
    """A wrong filter, field or value is an input error that names what is near."""
    with pytest.raises(InputError, match=what):
        look(dataset, [change])


def test_duplicates_are_looked_for_again(tmp_path: Path) -> None:
    """A duplicate whose original goes takes its place; what comes back may be one."""
    looks = {"fingerprint": bytes(range(1, 41)), "start_s": 0.0, "end_s": 2.0}
    twin = {"filter": "dedup", "reason": "near_duplicate", "detail": "looks like 0-0, 2 of 64 bits apart"}
    fast, slow = (
        {"motion_mean_flow": 2.0, "motion_flow_px": 5.0},
        {"motion_mean_flow": 0.5, "motion_flow_px": 5.0},
    )
    rows = [
        clip(0, **slow, **looks),
        clip(1, "duplicate", **fast, **looks, **twin),
        clip(2, "rejected", motion_mean_flow=0.05, motion_flow_px=5.0, **looks, reason="static"),
    ]
    recipe = {"filters": ["motion"]}
    uri = publish_rows(str(tmp_path), rows, NAMES, recipe=recipe, recipe_sha256="r").uri
    moved = look(uri, ["motion.min_flow=1"]).as_json()["changed"]
    assert moved == {"kept -> rejected: motion": 1, "duplicate -> kept": 1}
    found = look(uri, ["motion.min_flow=0.01"])
    assert found.as_json()["changed"] == {"rejected: motion -> duplicate": 1}
    assert found.moved()[0][1]["detail"] == "looks like 0-0, 0 of 64 bits apart"


def test_the_outlook_is_what_a_new_run_does(here: None, media: Path, tmp_path: Path) -> None:
    """The funnel foretold for a stricter bound is that of a run with it over the same media."""
    score_all = {"filters": ["duration", "resolution", "quality"], "score_all": True}
    curate(request(media, tmp_path / "one", **score_all), silent)
    told = look(str(tmp_path / "one"), ["quality.min_sharpness=1000"]).as_json()["funnel"]
    strict = {**score_all, "filters": ["duration", "resolution", {"quality": {"min_sharpness": 1000}}]}
    assert curate(request(media, tmp_path / "two", **strict), silent)["funnel"] == told["to"]
    assert told["to"]["kept"] < told["from"]["kept"]


def test_filters_in_files_of_their_own_are_read_not_run(tmp_path: Path, images: Path) -> None:
    """A recipe's path names a threshold by the file's name, and nothing at that path is loaded."""
    uri = build(tmp_path / "dataset", images, Spec(clips=120))
    result = look(uri, ["watermark.max_area=0.04"]).as_json()
    assert result["changes"][0]["old"] == 0.08
    assert all(move.endswith(" -> rejected: watermark") for move in result["changed"])
    assert result["changed"]["kept -> rejected: watermark"] > 3
    assert result["funnel"]["to"]["clips"] == 120
