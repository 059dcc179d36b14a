"""`plan` as a user reads it, and what `curate` makes of it afterwards."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from pipelines import forecasts, requests
from pipelines.recipe import load
from tests.pipelines.in_process import refused, say

FAILING = '''"""A first try at a filter."""
from curation.filters import Cost, Filter, Frames


class Failing(Filter):
    cost, needs = Cost.FRAMES, (Frames(count=1, long_side=64),)
    scores, thresholds = ("luma",), {"min_luma": ("luma", "min")}
    min_luma: float = 16.0

    def measure(self, clip):
        return {"luma": 1 / 0}
'''


def test_plan_forecasts_and_remembers(tmp_path: Path, images: Path) -> None:
    """Sources, counts with their ranges, and a file beside the dataset that curate reads again."""
    folder, out = tmp_path / "media", tmp_path / "dataset"
    folder.mkdir()
    for name in ("coins.png", "rocket.jpg"):
        shutil.copy(images / name, folder)
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(f"sources: [{{folder: {folder}}}]\nfilters: [resolution]\n")
    text = say("plan", str(recipe), "--out", str(out))
    assert f"source   {folder}: 2 inputs" in text
    assert "clips                   2  (2 to 2)" in text
    told = json.loads((tmp_path / "dataset.forecast.json").read_text())
    request = requests.curate(load(str(recipe)), str(out), "one")
    funnel = {"inputs": 2, "clips": 2, "kept": 1, "duplicate": 0, "error": 0, "rejected": {"resolution": 1}}
    result = {"funnel": funnel, "seconds": 3.0, "published": True, "reused": 0}
    lines = list(forecasts.compared(request, result))
    assert "  kept, duplicates too   forecast          2 (2 to 2), actual 1" in lines
    assert told["forecast"]["kept"]["expected"] == 2
    other = requests.curate(load(str(recipe), ["split.max_seconds=3"]), str(out), "one")
    assert list(forecasts.compared(other, result)) == []


def test_plan_names_every_missing_source(tmp_path: Path) -> None:
    """A recipe with two wrong sources is refused for both at once."""
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("sources: [{folder: /no/such/one}, {file: /no/such/two.mp4}]\n")
    line = refused("plan", str(recipe))
    assert "/no/such/one" in line
    assert "/no/such/two.mp4" in line


def test_a_plan_with_a_filter_that_fails_counts_errors(tmp_path: Path, images: Path) -> None:
    """Where one's own filter raises on every sample, the forecast says errors, and does not end."""
    failing = tmp_path / "failing.py"
    failing.write_text(FAILING)
    recipe = tmp_path / "r.yaml"
    recipe.write_text(f"sources: [{{folder: {images}}}]\nfilters: [{failing}]\n")
    say("plan", str(recipe), "--out", str(tmp_path / "dataset"))
    told = json.loads((tmp_path / "dataset.forecast.json").read_text())
    assert told["forecast"]["kept"]["expected"] == 0
    assert told["forecast"]["error"]["expected"] == told["forecast"]["clips"]["expected"] > 0
