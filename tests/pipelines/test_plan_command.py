"""`plan` as a user reads it, and what `curate` makes of it afterwards."""

from __future__ import annotations

import json
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from s3fs import S3FileSystem

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


@pytest.fixture
def dead_store(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A bucket of a store that does not answer."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free.getsockname()[1]}")
    for name, value in (("MAX_ATTEMPTS", "1"), ("ACCESS_KEY_ID", "a"), ("SECRET_ACCESS_KEY", "b")):
        monkeypatch.setenv(f"AWS_{name}", value)
    S3FileSystem.clear_instance_cache()  # a file system keeps the endpoint that it was made with
    yield "s3://bucket/media"
    S3FileSystem.clear_instance_cache()


def test_plan_says_of_a_bad_source_what_curate_says(tmp_path: Path, dead_store: str) -> None:
    """Of an empty folder, one that is not there, and a store that does not answer: the same line of both."""
    (tmp_path / "empty").mkdir()
    recipe = tmp_path / "recipe.yaml"
    for folder, advice in (
        (str(tmp_path / "empty"), "check the path, and its glob if it has one"),
        (str(tmp_path / "none"), "check the path of the source"),
        (dead_store, "check the network and AWS_ENDPOINT_URL, then run the same command again"),
    ):
        recipe.write_text(f"sources: [{{folder: '{folder}'}}]\n")
        asked = (str(recipe), "--out", str(tmp_path / "dataset"))
        line = refused("plan", *asked)
        assert folder in line
        assert line.endswith(f"(while listing sources). {advice}")
        assert line == refused("curate", *asked)


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
