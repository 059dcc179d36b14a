from __future__ import annotations

from pathlib import Path

import yaml

from omnivideo.card import write_card
from omnivideo.config import preset


def test_a_card_states_sizes_and_lineage(tmp_path: Path) -> None:
    """The card has valid front matter, each part's size, and the lineage with its markup disarmed."""
    lineage = {"dataset": {"uri": "s3://b/d", "version": 3}, "stages": ["1", "2"], "note": "<script>\nx"}
    text = write_card(tmp_path, preset("tiny"), lineage).read_text(encoding="utf-8")
    _, head, body = text.split("---\n", 2)
    assert yaml.safe_load(head)["pipeline_tag"] == "text-to-video"
    assert "| dit | 322,144 |" in body
    assert "  - version: 3" in body
    assert "  - 2" in body
    assert "<script>" not in body


def test_a_card_without_lineage_says_so(tmp_path: Path) -> None:
    """An empty lineage is stated, not left out."""
    assert "Not recorded." in write_card(tmp_path, preset("tiny"), {}).read_text(encoding="utf-8")
