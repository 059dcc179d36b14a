"""Why a clip, or each clip of a file, got its verdict: every score beside its threshold."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow.compute as pc

from curation.dataset import Dataset, open_dataset
from curation.errors import InputError
from curation.questions.thresholds import Rule, Threshold, owned, rules_of
from curation.store.commits import judging
from curation.store.rows import DEDUP, original

STEP = "explaining"
COLUMNS = (
    *("sample_id", "uri", "source", "source_sha256", "licence", "task", "start_s", "end_s", "width"),
    *("height", "fps", "num_frames", "verdict", "filter", "reason", "detail", "scores", "caption"),
    *("captioner", "run_id", "recipe_sha256"),
)
NEAR = 3  # suggestions
LEAST_PREFIX = 4  # characters of a sample id


def explain(uri: str, wanted: str, version: int | None = None) -> dict[str, Any]:
    """Each clip that `wanted` means: a sample id or the start of one, a file's name, path or URL.

    Raises InputError, with near matches, if it means nothing in this version, or the start of several ids.
    """
    dataset = open_dataset(uri, version)
    rows = _rows(dataset, _meant(dataset, wanted))
    history, names = dataset.history(), dataset.score_names
    commits = {row["recipe_sha256"]: judging(history, row["recipe_sha256"]) for row in rows}
    rules = {
        recipe: rules_of(commit.get("recipe") or {}, names, commit.get("cascade"))
        for recipe, commit in commits.items()
    }
    clips = [_clip(row, rules[row["recipe_sha256"]], commits[row["recipe_sha256"]]) for row in rows]
    return {"dataset": uri, "version": dataset.version, "query": wanted, "clips": clips}


def _rows(dataset: Dataset, sample_ids: Sequence[str]) -> list[dict[str, Any]]:
    listed = ", ".join(f"'{one}'" for one in sample_ids)
    rows = dataset.table(COLUMNS, f"sample_id IN ({listed})").to_pylist()
    return sorted(rows, key=lambda row: (row["uri"] or "", row["start_s"] or 0.0, row["sample_id"]))


def _meant(dataset: Dataset, wanted: str) -> list[str]:
    """Sample ids of the rows that the user means."""
    table = dataset.table(["sample_id", "uri"])
    ids, uris = table["sample_id"], table["uri"]
    if wanted in ids.to_pylist():
        return [wanted]
    place = f"/{wanted.removeprefix('./').lstrip('/')}"
    of_file = pc.or_(pc.equal(uris, wanted), pc.ends_with(uris, place))
    found: list[str] = table.filter(pc.fill_null(of_file, False))["sample_id"].to_pylist()
    if found:
        return found
    begin = [one for one in ids.to_pylist() if len(wanted) >= LEAST_PREFIX and one.startswith(wanted)]
    if len(begin) > 1:
        some = ", ".join(begin[:NEAR])
        raise InputError(f"{len(begin)} sample ids begin with {wanted}", STEP, f"give more of it: {some}")
    if not begin:
        raise _unknown(dataset, wanted, uris.unique().to_pylist())
    return begin


def _unknown(dataset: Dataset, wanted: str, uris: list[str | None]) -> InputError:
    names = sorted({uri.rpartition("/")[2] for uri in uris if uri})
    near = difflib.get_close_matches(wanted.rpartition("/")[2], names, n=NEAR, cutoff=0.5)
    what = f"no sample id and no file {wanted!r} in version {dataset.version} of {dataset.uri}"
    some = (
        f"did you mean {' or '.join(near)}?" if near else f"there are files such as {', '.join(names[:NEAR])}"
    )
    return InputError(what, STEP, some)


def _clip(row: dict[str, Any], rules: Sequence[Rule], commit: Mapping[str, Any]) -> dict[str, Any]:
    scores = {name: value for name, value in (row.pop("scores") or {}).items() if value is not None}
    shown = [name for name in scores if not name.startswith(f"{DEDUP}_")]
    asked = [rule for rule in rules if _applies(rule, row, scores)]
    checks = [_check(one, scores) for rule in asked for one in rule.thresholds]
    bounded = {check["score"] for check in checks}
    names = [rule.name for rule in rules]
    owner = {field: name for name in names for field in owned(name, shown, names)}
    others = [
        {"filter": owner.get(name), "score": name, "value": scores[name]}
        for name in shown
        if name not in bounded
    ]
    lineage = {
        "run_id": row.pop("run_id"),
        "recipe_sha256": row.pop("recipe_sha256"),
        **{key: commit.get(key) for key in ("version", "code_version")},
        "models": commit.get("model_revisions"),
    }
    return {
        **row,
        "duplicate_of": original(row),
        "checks": checks,
        "waiting": _waiting(row, asked, checks),
        "unbounded": others,
        "lineage": lineage,
    }


def _waiting(
    row: Mapping[str, Any], asked: Sequence[Rule], checks: Sequence[Mapping[str, Any]]
) -> dict[str, Any] | None:
    """Of a rejected clip that thresholds newer than its verdict let pass: the scores that they lack.

    Such a row stays as it is until a run of `curate` measures and cuts it. None: it is rejected by them, too,
    or by what is not known here: the split, or a filter in a file of its own.
    """
    known = {rule.name for rule in asked if rule.cost is not None}
    if row["verdict"] != "rejected" or row["filter"] not in known:
        return None
    own = [check["passes"] for check in checks if check["filter"] == row["filter"]]
    if any(check["passes"] is False for check in checks) or (own and not any(own)):
        return None
    return {"not_scored": [check["score"] for check in checks if check["passes"] is None]}


def _applies(rule: Rule, row: Mapping[str, Any], scores: Mapping[str, float]) -> bool:
    """Not to rows that no filter has seen, nor to kinds that the filter leaves alone."""
    kind = "image" if "image" in (row["task"] or "") else "video"
    return bool(scores) and kind in rule.applies_to


def _check(one: Threshold, scores: Mapping[str, float]) -> dict[str, Any]:
    value = scores.get(one.score)
    return {
        "filter": one.filter,
        "field": one.field,
        "score": one.score,
        "value": value,
        "side": one.side,
        "threshold": one.value,
        "passes": None if value is None else not one.rejects(value),
    }
