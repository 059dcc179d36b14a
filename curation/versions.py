"""Between versions: what changed from one to the other, and going back."""

from __future__ import annotations

from collections import Counter
from typing import Any

from curation.dataset import Dataset, open_dataset
from curation.errors import InputError
from curation.publish import ConflictError, restore

EXAMPLES = 5  # sample ids of each kind of change


def diff(uri: str, old: int, new: int | None = None) -> dict[str, Any]:
    """What changed from version `old` to `new` (the newest): funnels, and rows added, removed and changed.

    `changed` counts moves such as "kept -> rejected: motion"; `examples` has some sample ids of each.
    Raises InputError if there is no such version.
    """
    before, after = open_dataset(uri, old), open_dataset(uri, new)
    left, right = _fates(before), _fates(after)
    moves = {
        one: f"{left[one]} -> {fate}" for one, fate in right.items() if one in left and left[one] != fate
    }
    counts = Counter(moves.values())
    return {
        "dataset": uri,
        "from": before.version,
        "to": after.version,
        "funnel": {"from": before.funnel().as_json(), "to": after.funnel().as_json()},
        "added": dict(Counter(fate for one, fate in right.items() if one not in left)),
        "removed": dict(Counter(fate for one, fate in left.items() if one not in right)),
        "changed": dict(counts.most_common()),
        "examples": {move: [one for one in moves if moves[one] == move][:EXAMPLES] for move in counts},
    }


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
    """Of each row, its verdict and, if rejected, by which filter."""
    rows = dataset.iter_rows(["sample_id", "verdict", "filter"])
    return {
        row["sample_id"]: f"{row['verdict']}: {row['filter']}"
        if row["verdict"] == "rejected"
        else row["verdict"]
        for row in rows
    }
