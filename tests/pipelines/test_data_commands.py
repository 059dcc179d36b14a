"""Commands about one version of a dataset, as a user reads them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.curation.published_rows import a_row, publish_rows
from tests.pipelines.in_process import ask, refused, say

RECIPE = {"sources": [{"folder": "/media"}], "filters": ["motion"]}


@pytest.fixture
def dataset(tmp_path: Path) -> str:
    """A kept clip and one that is rejected because it hardly moves."""
    sha = {"recipe_sha256": "r" * 64, "run_id": "one"}
    place = {"start_s": 0.0, "end_s": 4.0, "width": 640, "height": 360, "num_frames": 100}
    fast = a_row("a", 1, motion_mean_flow=2.0, motion_flow_px=9.0)
    slow = a_row("b", 1, "rejected", motion_mean_flow=0.02, motion_flow_px=0.1) | {"reason": "static"}
    rows = [row | sha | place | {"task": "text_to_video"} for row in (fast, slow)]
    names = ["motion_mean_flow", "motion_flow_px"]
    publish_rows(str(tmp_path), rows, names, recipe=RECIPE, **sha)
    return str(tmp_path)


def test_explain_shows_scores_beside_thresholds(dataset: str) -> None:
    """Verdict, reason, each score with its bound, and the lineage."""
    text = say("explain", dataset, "b.mp4")
    assert "REJECTED by motion: static" in text
    assert "motion.min_flow                        0.02 >= 0.1      FAILS" in text
    assert "run one, recipe rrrrrrrrrrrr, version 0" in text
    assert ask("explain", dataset, "a-1")["clips"][0]["verdict"] == "kept"
    assert "did you mean b.mp4" in refused("explain", dataset, "bb.mp4")


def test_whatif_shows_both_funnels(dataset: str) -> None:
    """The changed threshold, the funnels beside each other, the clips that move, what is needed for them."""
    text = say("whatif", dataset, "motion.min_flow=0.01")
    assert "motion.min_flow  0.1 -> 0.01" in text
    assert "kept                           1 ->       2  +1" in text
    assert "rejected: motion -> kept" in text
    assert "1 clips come back when curate is run" in text
    assert ask("whatif", dataset, "motion.min_flow=0.01")["funnel"]["to"]["kept"] == 2
    assert "did you mean min_flow" in refused("whatif", dataset, "motion.min_flw=1")


def test_calibrate_is_a_table(dataset: str, tmp_path: Path) -> None:
    """Each threshold with how it agrees with the labels, and a better value where there is one."""
    labels = tmp_path / "labels.csv"
    labels.write_text("file,keep\na.mp4,yes\nb.mp4,yes\n")
    text = say("calibrate", dataset, str(labels))
    assert "2 clips labelled, 2 of them keep" in text
    line = next(line for line in text.splitlines() if line.startswith("motion.min_flow"))
    assert line.split()[1:] == ["0.1", "1.00", "0.50", "0.67", "none", "1.00", "0"]
    assert ask("calibrate", dataset, str(labels))["labelled"] == 2
    labels.write_text("file,keep\na.mp4,yes\nb.mp4,no\nb.mp4,no\n")
    text = say("calibrate", dataset, str(labels))
    assert "1.00    1.00   1.00    no gain    1.00" in text
    assert "labels that repeat others, counted once: 1" in text
    assert "no columns" in refused("calibrate", dataset, __file__)


def test_whatif_publishes_a_version(dataset: str) -> None:
    """With --publish what is rejected is so in a new version, which can be undone the same way."""
    text = say("whatif", dataset, "motion.min_flow=3", "--publish")
    assert "published version 1: 1 rows, 0 kept" in text
    again = ask("whatif", dataset, "motion.min_flow=0.1", "--publish")
    assert (again["publication"]["published"], again["publication"]["funnel"]["kept"]) == (2, 1)
    slower = ("motion.min_flow=0.01", "motion.max_flow=1")
    assert "1 clips come back when curate is run" in say("whatif", dataset, *slower, "--publish")
    text = say("explain", dataset, "b.mp4")
    assert "REJECTED by motion: static" in text
    assert "but no threshold of version 3 rejects it; it was never cut:\n  it stays rejected until" in text
    assert "never cut" not in say("explain", dataset, "a.mp4")
    assert "come back only when they are cut" in refused("whatif", dataset, "motion.min_flow=0", "--publish")
