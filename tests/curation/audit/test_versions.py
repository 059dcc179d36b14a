"""Versions beside each other, older ones, and those that are not there."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from deltalake import DeltaTable

from curation.audit import build_audit
from curation.errors import InputError

from .conftest import Audited, audit
from .synthetic_dataset import FILTERS, Spec, build


def test_changes_since_an_earlier_version(tmp_path: Path, images: Path) -> None:
    """Moved clips, new inputs, a changed threshold and shifted scores are told from the version before."""
    spec = Spec(clips=300)
    dataset = build(tmp_path / "d", images, spec)
    strict = [{"resolution": {"min_short_side": 400}}, *FILTERS[1:]]
    build(tmp_path / "d", images, replace(spec, recipe_filters=strict, run_id="run-2"))
    found = audit(dataset, tmp_path / "out")
    changes = found.figures["changes"]
    assert changes["against"] == 0
    assert {"key": "filters.resolution.min_short_side", "before": 256, "after": 400} in changes["recipe"]
    moved = {(move["before"], move["after"]): move["clips"] for move in changes["moves"]}
    assert moved["kept", "rejected"] > 0
    assert changes["inputs"] == {"added": 0, "gone": 0}
    build(tmp_path / "d", images, replace(spec, seed=8, tasks=("text_to_image",), run_id="run-3"))
    drifted = audit(dataset, tmp_path / "out", against=0).figures["changes"]
    psi = {drift["score"]: drift["psi"] for drift in drifted["drift"]}
    apart = {one["score"]: one["ks"] > one["ks_noise"] for one in drifted["drift"]}
    assert (apart["aspect_ratio_ratio"], apart["watermark_area"]) == (True, False)
    assert all(min(one["clips_before"], one["clips_new"]) >= 30 for one in drifted["drift"])
    assert psi["aspect_ratio_ratio"] > 0.25 > psi["watermark_area"]


def test_a_version_is_audited_as_it_was(tmp_path: Path, images: Path) -> None:
    """An older version has its own rows, recipe and history; a rolled-back one has the recipe of its rows."""
    dataset = build(tmp_path / "d", images, Spec(clips=50))
    other = [{"resolution": {"min_short_side": 300}}]
    build(tmp_path / "d", images, Spec(clips=70, recipe_filters=other, run_id="run-2"))
    old = audit(dataset, tmp_path / "old", version=0).figures
    assert old["funnel"]["clips"] == 50
    assert old["lineage"]["run_id"] == "run-1"
    assert [entry["version"] for entry in old["lineage"]["history"]] == [0]
    DeltaTable(dataset).restore(0)
    back = audit(dataset, tmp_path / "back").figures
    assert back["version"] == 2
    assert back["lineage"]["run_id"] == "run-1"
    assert len(back["lineage"]["recipe"]["filters"]) == len(FILTERS)


def test_missing_datasets_and_versions_are_the_users_mistakes(tmp_path: Path, audited: Audited) -> None:
    """No dataset, or no such version, is an InputError that names the next step."""
    with pytest.raises(InputError) as nowhere:
        build_audit(str(tmp_path / "nowhere"), tmp_path)
    with pytest.raises(InputError) as unknown:
        build_audit(audited.dataset, tmp_path, version=99)
    assert nowhere.value.next_step
    assert unknown.value.next_step
