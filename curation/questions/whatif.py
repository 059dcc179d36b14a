"""What other thresholds would do, from stored scores alone: nothing is decoded, nothing is written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from curation.config import DedupConfig
from curation.dataset import DEDUP_SCORE, Dataset, count_funnel, open_dataset
from curation.errors import InputError
from curation.questions.retune import Change, retune
from curation.questions.thresholds import Rule, rules_of
from curation.steps.dedup import find_duplicates
from curation.steps.plan import PUBLISHED, Row, candidate
from curation.store.commits import newest
from curation.store.rows import EXACT_DUPLICATE, GENERATION, NEAR_DUPLICATE, looks_like, original
from curation.store.versions import fate, moves

KEPT: Row = {"verdict": "kept", "filter": None, "reason": None, "detail": None}


@dataclass(frozen=True)
class Outlook:
    """A version under other thresholds."""

    dataset: Dataset
    recipe: dict[str, Any]  # with the changes
    changes: list[Change]
    before: list[Row]  # with the columns of PUBLISHED
    after: list[Row]  # the same rows with their new verdicts
    not_scored: list[str]  # sample ids of rows whose verdict is left as it is for want of a score

    def moved(self) -> list[tuple[Row, Row]]:
        """Rows whose verdict, filter or reason changes, before and after."""
        keys = ("verdict", "filter", "reason")
        pairs = zip(self.before, self.after, strict=True)
        return [(old, new) for old, new in pairs if any(old[key] != new[key] for key in keys)]

    def as_json(self) -> dict[str, Any]:
        """Both funnels, the clips that change, and how many could not be told."""
        left, right = ({row["sample_id"]: fate(row) for row in rows} for rows in (self.before, self.after))
        clips = [
            {"sample_id": new["sample_id"], "uri": new["uri"], "from": fate(old), "to": fate(new)}
            for old, new in self.moved()
        ]
        return {
            "dataset": self.dataset.uri,
            "version": self.dataset.version,
            "changes": [change._asdict() for change in self.changes],
            "funnel": {"from": funnel_of(self.before), "to": funnel_of(self.after)},
            **moves(left, right),
            "clips": clips,
            "not_scored": len(self.not_scored),
            "needs_media": sum(old["verdict"] != "kept" == new["verdict"] for old, new in self.moved()),
        }


def look(uri: str, assignments: Sequence[str], version: int | None = None) -> Outlook:
    """A version with other thresholds (`motion.min_flow=0.3`), duplicates among what is kept then included.

    Raises InputError if there is no such version, recipe, filter or threshold.
    """
    dataset = open_dataset(uri, version)
    commit = newest(dataset.history())
    if not commit:
        raise InputError(f"no commit of {uri} holds a recipe", "looking ahead", f"omnivideo versions {uri}")
    recipe, changes = retune(commit["recipe"], assignments)
    before = dataset.table(PUBLISHED).to_pylist()
    rules = rules_of(recipe, dataset.score_names, commit.get("cascade"))
    judge = _Judge(rules, {change.filter for change in changes})
    decided = [judge(row) for row in before]
    missing = [row["sample_id"] for row, found in zip(before, decided, strict=True) if found is None]
    after = [row | (found or {}) for row, found in zip(before, decided, strict=True)]
    _duplicates(before, after, DedupConfig(**(recipe.get("dedup") or {})))
    return Outlook(dataset, recipe, changes, before, after, missing)


class _Judge:
    """Decides rows by the rules of a recipe, some of which (`touched`) are not those that judged the rows."""

    def __init__(self, rules: Sequence[Rule], touched: set[str]) -> None:
        self._rules = rules
        self._places = {rule.name: place for place, rule in enumerate(rules)}
        self._touched = touched
        self._of_clips = [one.score for rule in rules if not rule.per_file for one in rule.thresholds]

    def __call__(self, row: Row) -> Row | None:
        """What changes in a row, before duplicates are looked for; None if a score that it takes is missing.

        Rules before the one that rejected let the clip pass: they are asked again only if they are touched.
        """
        if row["verdict"] == "error" or row["reason"] == EXACT_DUPLICATE or row["task"] not in GENERATION:
            return {}
        rejected = row["verdict"] == "rejected"
        by = self._places.get(row["filter"]) if rejected else len(self._rules)
        if by is None:  # by the split, or by a filter that the recipe has no longer
            return {}
        scores = dict(row["scores"] or {})
        for place, rule in enumerate(self._rules):
            if place <= by and rule.name not in self._touched:
                if place == by:
                    return {}
            elif _kind(row) in rule.applies_to:
                if rule.lacks(scores):
                    return None
                reason = rule.decide(scores)
                if reason:
                    return {**KEPT, "verdict": "rejected", "filter": rule.name, "reason": reason}
        if not rejected:
            return {}
        return None if self._whole_file(row, scores) else KEPT

    def _whole_file(self, row: Row, scores: Mapping[str, float | None]) -> bool:
        """Whether a row stands for a video that was rejected by its header, before it was cut into clips."""
        by_header = self._rules[self._places[row["filter"]]].per_file
        return (
            _kind(row) == "video" and by_header and all(scores.get(name) is None for name in self._of_clips)
        )


def _duplicates(before: Sequence[Row], after: Sequence[Row], config: DedupConfig) -> None:
    """Mark duplicates among clips that come to be kept, and let go those whose original is gone."""
    kept = {row["sample_id"] for row in before if row["verdict"] == "kept"}
    standing = {row["sample_id"] for row in after if row["verdict"] == "kept"} & kept
    gone = kept - standing
    for row in after:
        if row["reason"] == NEAR_DUPLICATE and original(row) in gone:
            row |= KEPT
    coming = [row for row in after if row["verdict"] == "kept" and row["sample_id"] not in standing]
    if not coming:
        return
    old = [candidate(row, True) for row in after if row["sample_id"] in standing]
    found = find_duplicates([*old, *(candidate(row, False) for row in coming)], config)
    for row in coming:
        match = found.get(row["sample_id"])
        if match:
            scores = {**dict(row["scores"] or {}), DEDUP_SCORE: match.hamming}
            row |= {**looks_like(match.winner, match.hamming), "scores": scores}


def _kind(row: Row) -> str:
    return "image" if "image" in (row["task"] or "") else "video"


def funnel_of(rows: Sequence[Row]) -> dict[str, Any]:
    """The funnel of rows, as the commands print it."""
    names = ("uri", "verdict", "filter")
    columns = {name: pa.array([row[name] for row in rows], pa.string()) for name in names}
    return count_funnel(pa.table(columns)).as_json()
