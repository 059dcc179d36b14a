"""Between versions: what changed from one to the other, and going back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from curation.dataset import Dataset, open_dataset
from curation.errors import InputError
from curation.store.publish import ConflictError, restore

EXAMPLES = 5  # sample ids of each kind of change


def diff(uri: str, old: int, new: int | None = None) -> dict[str, Any]:
    """What changed from version `old` to `new` (the newest): funnels, and rows added, removed and changed.

    `changed` counts moves such as "kept -> rejected: motion"; `examples` has some sample ids of each.
    Raises InputError if there is no such version.
    """
    before, after = open_dataset(uri, old), open_dataset(uri, new)
    left, right = _fates(before), _fates(after)
    return {
        "dataset": uri,
        "from": before.version,
        "to": after.version,
        "funnel": {"from": before.funnel().as_json(), "to": after.funnel().as_json()},
        "added": dict(Counter(fate for one, fate in right.items() if one not in left)),
        "removed": dict(Counter(fate for one, fate in left.items() if one not in right)),
        **moves(left, right),
    }


def moves(before: Mapping[str, str], after: Mapping[str, str]) -> dict[str, Any]:
    """How many rows went from which fate to which (`changed`), with some sample ids of each (`examples`)."""
    both = {one: (before[one], fate) for one, fate in after.items() if one in before}
    moved = {one: f"{old} -> {new}" for one, (old, new) in both.items() if old != new}
    examples: dict[str, list[str]] = {}
    for one, move in moved.items():
        examples.setdefault(move, []).append(one)
    counts = dict(Counter(moved.values()).most_common())
    return {"changed": counts, "examples": {move: examples[move][:EXAMPLES] for move in counts}}


def fate(row: Mapping[str, Any]) -> str:
    """What became of a row: its verdict and, if it is rejected, by which filter."""
    return f"rejected: {row['filter']}" if row["verdict"] == "rejected" else str(row["verdict"])


def rollback(uri: str, version: int) -> dict[str, Any]:
    """Make the rows of an earlier version the newest version again; nothing in between is lost.

    The new version has the lineage of the one that it repeats, with `rolled_back_to`. Raises InputError if
    there is no such version, or another run publishes at the same moment.
    """
    newest, wanted = open_dataset(uri), open_dataset(uri, version)
    if version == newest.version:
        raise InputError(
            f"{uri} is at version {version} already", "rolling back", f"omnivideo versions {uri}"
        )
    try:
        number = restore(newest, version, {**wanted.metadata, "rolled_back_to": version})
    except ConflictError as error:
        what = "another run has published in this moment"
        raise InputError(what, "rolling back", "look at the new version, then try again") from error
    return {"dataset": uri, "version": number, "rolled_back_to": version, "funnel": wanted.funnel().as_json()}


def _fates(dataset: Dataset) -> dict[str, str]:
    return {row["sample_id"]: fate(row) for row in dataset.iter_rows(["sample_id", "verdict", "filter"])}
