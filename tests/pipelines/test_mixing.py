"""The mix that `plan` shows, and the recipe of the paper's data."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from curation.sources.datasets import names
from pipelines import mixing
from pipelines import recipe as recipes
from pipelines.cli import app
from training.config import TABLE_1, MixSection


def test_epochs_say_how_often_a_task_is_drawn() -> None:
    """A task that is there at twice its share is drawn half; one that is not there has no epochs."""
    listed = [
        {"task": "image_understanding", "inputs": 300},
        {"task": "image_edit", "inputs": 100},
        {"inputs": 9},
    ]
    mix = MixSection(weights={"image_understanding": 1, "image_edit": 1, "video_edit": 2})
    rows = {row["task"]: row for row in mixing.table(listed, mix)}
    assert rows["image_understanding"]["epochs"] == pytest.approx(2 / 3, abs=1e-3)
    assert rows["image_edit"]["epochs"] == 2.0
    assert rows["video_edit"]["epochs"] is None
    assert (rows["video_edit"]["target"], rows["image_edit"]["share"]) == (0.5, 0.25)


def test_the_default_target_is_table_1() -> None:
    """Without weights the target is the paper's, in shares of one."""
    rows = mixing.table([], MixSection())
    whole = sum(TABLE_1.values())
    assert [row["target"] for row in rows] == [round(share / whole, 4) for share in TABLE_1.values()]


def test_the_paper_recipe_has_all_sixteen_datasets_and_names_what_is_missing(tmp_path: Path) -> None:
    """`plan` reads the recipe, says of each dataset that it is missing, and shows the mix."""
    loaded = recipes.load("omni-video")
    asked = [source.dataset for source in loaded.sources]  # type: ignore[union-attr]
    assert set(asked) <= set(names())
    assert len(set(asked)) == 16
    out = ["--out", str(tmp_path / "out")]
    roots = [f"--set=sources.{n}.root={tmp_path / name}" for n, name in enumerate(asked)]
    told = CliRunner().invoke(app, ["plan", "omni-video", "--json", *out, *roots])
    assert told.exit_code == 0, told.output
    answer = json.loads(told.stdout)
    missing = [one["dataset"] for one in answer["sources"] if "missing" in one]
    assert missing == asked
    assert [row["target"] for row in answer["mix"]] == pytest.approx(
        [0.379, 0.0436, 0.3305, 0.0397, 0.1895, 0.0176], abs=2e-4
    )
