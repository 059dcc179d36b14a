"""A version with other thresholds, made of the rows that change and nothing else; no file is decoded.

A clip that is rejected loses its verdict only: its media stays in its row, so that it can come back. A clip
that comes back without media in its row stays what it was until a run with the new thresholds cuts it.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from typing import Any

import pyarrow as pa

from curation.config import CurateRequest
from curation.dataset import VERDICTS, Dataset, open_dataset, schema
from curation.errors import InputError
from curation.filters import names
from curation.questions.thresholds import split_entry
from curation.questions.whatif import Outlook, funnel_of
from curation.store.commits import newest
from curation.store.lineage import code_version
from curation.store.publish import Change, ConflictError, publish
from curation.store.shard import ShardFile, ShardWriter, shard_path

STEP = "publishing other thresholds"
Row = dict[str, Any]
GROUP_ROWS = 64  # in memory at once; rows with media weigh megabytes
_SECTIONS = ("sources", "split", "filters", "dedup", "caption", "shards")


def republish(outlook: Outlook, run_id: str) -> dict[str, Any]:
    """Publish an outlook on the newest version in one commit; return the new version and its funnel.

    `waiting` counts the clips that come back only with a run of `curate`. Raises InputError if nothing
    changes, if the version is not the newest, or if the recipe names a filter's file, which is not run here.
    """
    dataset = outlook.dataset
    if open_dataset(dataset.uri).version != dataset.version:
        raise InputError(f"version {dataset.version} is not the newest", STEP, "leave --version out")
    request = _request(outlook)
    coming = {new["sample_id"]: new for _, new in outlook.moved()}
    waiting = _without_media(dataset, [one for one, row in coming.items() if row["verdict"] == "kept"])
    changed = {one: row for one, row in coming.items() if one not in waiting}
    if not changed:
        what = f"no row changes: {len(waiting)} clips come back only when they are cut"
        raise InputError(what, STEP, "run curate with the new thresholds")
    now = [old if old["sample_id"] in waiting else new for old, new in _pairs(outlook)]
    funnel = funnel_of(now)
    told = _told(outlook, request, now) | {"run_id": run_id, "funnel": funnel}
    lineage = {"run_id": run_id, "recipe_sha256": told["recipe_sha256"]}
    attempt = uuid.uuid4().hex[:12]
    shards = list(_write(dataset, changed, lineage, attempt))
    try:
        made = publish(dataset.uri, dataset, Change(attempt, shards, set(changed), dataset.score_names, told))
    except ConflictError as error:
        raise InputError(
            "another run has published in this moment", STEP, "look again, then retry"
        ) from error
    return {"published": made.version, "rows": len(changed), "waiting": len(waiting), "funnel": funnel}


def _pairs(outlook: Outlook) -> Iterator[tuple[Row, Row]]:
    return zip(outlook.before, outlook.after, strict=True)


def _request(outlook: Outlook) -> CurateRequest:
    """The request that would judge as the outlook does."""
    recipe = outlook.recipe
    foreign = [name for name, _ in map(split_entry, recipe["filters"]) if name not in names()]
    if foreign:
        what = f"the recipe names {foreign[0]}, which is not run from a dataset"
        raise InputError(what, STEP, "run curate with the recipe and the new thresholds")
    sections = {name: recipe[name] for name in _SECTIONS if recipe.get(name) is not None}
    return CurateRequest.model_validate({**sections, "out": outlook.dataset.uri})


def _told(outlook: Outlook, request: CurateRequest, rows: list[Row]) -> dict[str, Any]:
    """The commit's lineage: that of the newest recipe, with other thresholds."""
    history = outlook.dataset.history()
    commit = newest(history)
    recipes = {row["recipe_sha256"] for row in rows} - {None}
    measured = request.measured()
    same = all(one.get("measured") == measured for one in history if one.get("recipe_sha256") in recipes)
    return {
        "recipe": outlook.recipe,
        "recipe_sha256": request.recipe_sha256(),
        **({"measured": measured} if same else {}),
        "confirms": sorted(recipes),
        "code_version": code_version(),
        **{name: commit[name] for name in ("input_snapshot", "model_revisions", "cascade") if name in commit},
    }


def _without_media(dataset: Dataset, sample_ids: list[str]) -> set[str]:
    if not sample_ids:
        return set()
    where = f"{_among(sample_ids)} AND media IS NOT NULL"
    return set(sample_ids) - set(dataset.table(["sample_id"], where)["sample_id"].to_pylist())


def _write(dataset: Dataset, changed: Mapping[str, Row], lineage: Row, attempt: str) -> Iterator[ShardFile]:
    """A data file for each verdict that rows come to have."""
    told = schema(dataset.score_names)
    for verdict in VERDICTS:
        ids = [one for one, row in changed.items() if row["verdict"] == verdict]
        if not ids:
            continue
        with ShardWriter(dataset.uri, shard_path(attempt, verdict, "00000"), verdict) as writer:
            for start in range(0, len(ids), GROUP_ROWS):
                found = dataset.iter_rows(told.names, _among(ids[start : start + GROUP_ROWS]))
                rows = [row | _fate(changed[row["sample_id"]]) | lineage for row in found]
                writer.write(pa.Table.from_pylist(rows, schema=told))
            yield writer.finish()


def _fate(row: Row) -> Row:
    return {key: row[key] for key in ("verdict", "filter", "reason", "detail", "scores")}


def _among(sample_ids: list[str]) -> str:
    listed = ", ".join("'" + one.replace("'", "''") + "'" for one in sample_ids)
    return f"sample_id IN ({listed})"
