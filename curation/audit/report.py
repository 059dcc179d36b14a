"""The audit of one dataset version: `audit.html`, one offline page, and `audit.json` with the same figures.

Both are functions of the version alone: auditing it again gives the same bytes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from curation.audit.changes import changes
from curation.audit.content import captions, mix, shapes, sources
from curation.audit.findings import findings, verdict
from curation.audit.funnel import checks, funnel
from curation.audit.lineage import lineage, runs
from curation.audit.rows import Rows, open_rows
from curation.audit.rules import overlap, rules
from curation.audit.samples import pictures, samples, sheets
from curation.audit.scatter import scatter
from curation.audit.snapshot import Snapshot, open_snapshot
from curation.errors import InputError
from curation.gates import GatesConfig, judge
from curation.questions.thresholds import dedup_bound, rules_of

PICTURE_CHARACTERS = 9_000_000  # of thumbnails in the page, base64 and all; the rest stays under 2 MB


def build_audit(
    dataset_uri: str, out_dir: str | Path, version: int | None = None, against: int | None = None
) -> dict[str, Any]:
    """Audit a version (the newest by default) and write `audit.html` and `audit.json` into `out_dir`.

    It is compared with version `against`; by default with the one before, if that has rows. Returns
    {"dataset", "version", "against", "html", "json", "verdict", "gates", "funnel", "findings"}. Raises
    InputError when there is no dataset, no such version, or no room at `out_dir`. Reads no media.
    """
    from curation.audit.page import render

    snapshot = open_snapshot(dataset_uri, version)
    before = _before(dataset_uri, snapshot, against)
    with open_rows(snapshot, before) as rows:
        report = _report(rows, snapshot, before)
        images = pictures(rows, sheets(report["samples"], report["changes"]), PICTURE_CHARACTERS)
    page, figures = Path(out_dir) / "audit.html", Path(out_dir) / "audit.json"
    try:
        page.parent.mkdir(parents=True, exist_ok=True)
        _write(figures, json.dumps(report, indent=1, ensure_ascii=False, allow_nan=False))
        _write(page, render(report, images))
    except OSError as error:
        what = f"{out_dir} cannot be written: {error.strerror}"
        raise InputError(what, "writing the audit", "choose another --out") from error
    return {
        "dataset": dataset_uri,
        "version": snapshot.version,
        "against": before.version if before else None,
        "html": str(page),
        "json": str(figures),
        "verdict": report["verdict"],
        "gates": report["gates"],
        "funnel": {key: report["funnel"][key] for key in _FUNNEL},
        "findings": report["findings"],
    }


_FUNNEL = ("inputs", "clips", "kept", "duplicate", "error", "rejected", "closes")


def _before(uri: str, snapshot: Snapshot, against: int | None) -> Snapshot | None:
    if against is not None:
        return open_snapshot(uri, against) if against != snapshot.version else None
    if snapshot.version == 0:
        return None
    try:
        before = open_snapshot(uri, snapshot.version - 1)
    except InputError:  # its files or its part of the log were cleaned up; nobody asked for it by number
        return None
    return before if before.rows else None


def _report(rows: Rows, snapshot: Snapshot, before: Snapshot | None) -> dict[str, Any]:
    made = runs(rows)
    commit = _commit(snapshot, made["rows"])
    recipe = rules_of(commit.get("recipe") or {}, rows.scores, commit.get("cascade"))
    counted, both = funnel(rows, recipe), overlap(rows, recipe)
    report: dict[str, Any] = {
        "dataset": snapshot.uri,
        "version": snapshot.version,
        "funnel": counted,
        "checks": checks(rows, counted, recipe, snapshot, commit),
        "filters": rules(rows, recipe, counted, both, dedup_bound(commit.get("recipe") or {})),
        "overlap": both,
        "sources": sources(rows),
        "shapes": shapes(rows),
        "scatter": scatter(rows, recipe),
        "captions": captions(rows),
        "mix": mix(rows),
        "samples": samples(rows, recipe),
        "changes": _changes(rows, commit, before) if before else None,
        "lineage": lineage(snapshot, commit, made),
    }
    gates = (commit.get("recipe") or {}).get("gates") or {}
    report["gates"] = judge(report, GatesConfig.model_validate(gates))
    report["findings"] = findings(report)
    report["verdict"] = verdict(report)
    return report


def _commit(snapshot: Snapshot, made: list[dict[str, Any]]) -> dict[str, Any]:
    by_run, by_recipe = ({str(run[key]) for run in made} for key in ("run_id", "recipe_sha256"))
    return snapshot.publication(by_run, by_recipe)


def _changes(rows: Rows, commit: Mapping[str, Any], before: Snapshot) -> dict[str, Any]:
    old = rows.ask("SELECT DISTINCT run_id, recipe_sha256 FROM before")["rows"]
    recipe_before = _commit(before, old).get("recipe") or {}
    return changes(rows, before.version, commit.get("recipe") or {}, recipe_before)


def _write(path: Path, text: str) -> None:
    """Whole or not at all: a reader never sees half a page."""
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)
