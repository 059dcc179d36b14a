from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import yaml

from omnivideo.card import describe
from omnivideo.config import preset
from omnivideo.model import OmniVideoModel


def test_a_card_states_sizes_and_lineage(tmp_path: Path) -> None:
    """The card has valid front matter, each part's size, and the lineage with its markup disarmed."""
    lineage = {"dataset": {"uri": "s3://b/d", "version": 3}, "stages": ["1", "2"], "note": "<script>\nx"}
    text = describe(tmp_path, preset("tiny"), lineage).read_text(encoding="utf-8")
    _, head, body = text.split("---\n", 2)
    assert yaml.safe_load(head)["pipeline_tag"] == "text-to-video"
    assert "| dit | 322,144 |" in body
    assert "  - version: 3" in body
    assert "  - 2" in body
    assert "<script>" not in body


def test_each_saved_model_says_where_it_comes_from(model: OmniVideoModel, tmp_path: Path) -> None:
    """A saved folder has a card and a lineage file with what was given and its encoders' own hashes."""
    model.save_pretrained(tmp_path, {"dataset": {"version": 7}, "recipe": {"a": 1}, "recipe_sha256": "abc"})
    lineage = json.loads((tmp_path / "lineage.json").read_text())
    assert (lineage["dataset"], lineage["recipe"]) == ({"version": 7}, {"a": 1})
    assert {path.split("/")[0] for path in lineage["encoders"]} == {"vision_tower", "vae", "text_encoder"}
    for path, digest in lineage["encoders"].items():
        assert hashlib.sha256((tmp_path / path).read_bytes()).hexdigest() == digest
    card = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert "version: 7" in card
    assert "recipe_sha256: abc" in card
    assert digest in card


def test_a_linked_card_is_replaced_not_written_through(tmp_path: Path) -> None:
    """Describing a folder whose files are links leaves the files they link to as they were."""
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    before = describe(first, preset("tiny"), {"run": 1}).read_text(encoding="utf-8")
    os.link(first / "README.md", second / "README.md")
    assert "run: 2" in describe(second, preset("tiny"), {"run": 2}).read_text(encoding="utf-8")
    assert (first / "README.md").read_text(encoding="utf-8") == before
