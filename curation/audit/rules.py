"""What each filter did: scores against thresholds, what it alone rejects, and what moving it would do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from curation.audit.funnel import share
from curation.audit.histogram import histogram
from curation.audit.rows import Figure, Rows, score, text
from curation.audit.thresholds import IS_IMAGE, any_of, beyond, fails
from curation.questions.thresholds import Rule, Threshold, owned

DEDUP = "dedup"
JUDGED = "verdict IN ('kept', 'rejected', 'duplicate')"
_MOVES = (-0.1, 0.1)
_ENOUGH = 0.95  # of the judged clips must have all scores before unique rejections mean anything


def rules(
    rows: Rows, recipe: Sequence[Rule], counted: Mapping[str, Any], alone: Mapping[str, Any], near: float
) -> list[dict[str, Any]]:
    """One entry per filter of the recipe or of the stored scores, with a histogram of each score.

    `counted` is the funnel, `alone` the overlap of the same rows, `near` the distance of near duplicates.
    """
    names = [rule.name for rule in recipe]
    orphans = sorted(_orphans(rows, names))
    return [
        *(_entry(rows, rule, recipe, counted, alone) for rule in recipe),
        *(_unnamed(rows, name, names, near) for name in orphans),
    ]


def _orphans(rows: Rows, names: Sequence[str]) -> set[str]:
    """First words of the scores that no filter of the recipe owns."""
    known = {field for name in names for field in owned(name, rows.scores, names)}
    return {field.partition("_")[0] for field in rows.scores if field not in known}


def _entry(
    rows: Rows, rule: Rule, recipe: Sequence[Rule], counted: Mapping[str, Any], alone: Mapping[str, Any]
) -> dict[str, Any]:
    names = [other.name for other in recipe]
    fields = owned(rule.name, rows.scores, names)
    charts = [(field, _chart(rows, rule, field)) for field in fields]
    return {
        "name": rule.name,
        "cost": rule.cost,
        "about": rule.about,
        "rejected": counted["rejected"].get(rule.name, 0),
        "share": share(counted["rejected"].get(rule.name, 0), counted["clips"]),
        **alone["rules"].get(rule.name, {"alone": None, "unique": None}),
        "scores": [{"score": field, "histogram": chart} for field, chart in charts],
        "thresholds": [_moved(rows, threshold, recipe, alone["complete"]) for threshold in rule.thresholds],
    }


def _unnamed(rows: Rows, name: str, names: Sequence[str], near: float) -> dict[str, Any]:
    """Scores that no filter of the recipe owns: those of deduplication, or of filters it no longer names."""
    fields = owned(name, rows.scores, [*names, name])
    marks = [(near, "max")] if name == DEDUP else []
    by_it = "verdict = 'duplicate'" if name == DEDUP else "false"
    return {
        **{
            "name": name,
            "cost": None,
            "about": "",
            "rejected": 0,
            "share": None,
            "alone": None,
            "unique": None,
        },
        "scores": [{"score": field, "histogram": _histogram(rows, field, by_it, marks)} for field in fields],
        "thresholds": [],
    }


def _chart(rows: Rows, rule: Rule, field: str) -> dict[str, Any] | None:
    marks = [(threshold.value, threshold.side) for threshold in rule.thresholds if threshold.score == field]
    return _histogram(rows, field, f"verdict = 'rejected' AND \"filter\" = {text(rule.name)}", marks)


def _histogram(
    rows: Rows, field: str, by_it: str, marks: Sequence[tuple[float, str]]
) -> dict[str, Any] | None:
    series = {
        "kept": "verdict = 'kept'",
        "rejected": by_it,
        "elsewhere": f"verdict <> 'kept' AND NOT coalesce({by_it}, false)",
    }
    return histogram(rows, score(field), series, marks=marks)


def _moved(rows: Rows, threshold: Threshold, recipe: Sequence[Rule], complete: bool) -> dict[str, Any]:
    """How many clips stay if this threshold alone moves by a tenth, before deduplication."""
    others = [
        beyond(other)
        for rule in recipe
        for other in rule.thresholds
        if (other.filter, other.field) != (threshold.filter, threshold.field)
    ]
    values = [_tenth(threshold.value, move) for move in _MOVES]
    counts = ", ".join(
        f"""count(*) FILTER (verdict = 'kept' AND NOT {beyond(threshold, value)})
        + count(*) FILTER (verdict = 'rejected' AND {beyond(threshold)} AND NOT {beyond(threshold, value)}
        AND NOT {any_of(others)}) AS "{label}\""""
        for value, label in zip(values, ("lower", "higher"), strict=True)
    )
    figure = rows.ask(f"""
        SELECT count(*) FILTER (verdict = 'kept') AS kept,
        count(*) FILTER ({beyond(threshold)}) AS beyond,
        count({score(threshold.score)}) AS measured,
        count(*) FILTER (verdict = 'rejected' AND "filter" = {text(threshold.filter)}
        AND reason = {text(threshold.reason)}) AS rejected,
        {counts}
        FROM rows
    """)
    found = figure["rows"][0]
    return {
        "field": threshold.field,
        "score": threshold.score,
        "side": threshold.side,
        "value": threshold.value,
        "reason": threshold.reason,
        "about": threshold.about,
        **{key: found[key] for key in ("kept", "beyond", "measured", "rejected")},
        "moved": [
            {"by": move, "value": value, "kept": found[label], "change": found[label] - found["kept"]}
            for move, value, label in zip(_MOVES, values, ("lower", "higher"), strict=True)
        ],
        "exact": complete,
        "figure": figure,
    }


def _tenth(value: float, move: float) -> float:
    return float(f"{value + abs(value) * move:.12g}")


def overlap(rows: Rows, recipe: Sequence[Rule]) -> dict[str, Any]:
    """What each filter rejects at all, what it alone rejects, and what each two reject both.

    Counted over the clips whose scores are all stored. A cascade that stops at the first rejection leaves few
    of those that were rejected: then "complete" is false, and the counts are None.
    """
    judging = [rule for rule in recipe if rule.thresholds]
    if not judging:
        return {"complete": False, "judged": 0, "scored": 0, "rules": {}, "pairs": [], "figure": None}
    figure = _overlap_figure(rows, judging)
    found = figure["rows"][0]
    enough = bool(found["judged"]) and found["scored"] >= _ENOUGH * found["judged"]
    return {
        "complete": enough,
        "judged": found["judged"],
        "scored": found["scored"],
        "rules": {
            rule.name: {
                "alone": found[f"{rule.name} rejects"] if enough else None,
                "unique": found[f"only {rule.name}"] if enough else None,
            }
            for rule in judging
        },
        "pairs": [
            {"first": one.name, "second": two.name, "both": found[f"{one.name} and {two.name}"]}
            for one, two in _pairs(judging)
        ]
        if enough
        else [],
        "figure": figure,
    }


def _overlap_figure(rows: Rows, judging: Sequence[Rule]) -> Figure:
    flags = {rule.name: f"fails_{place}" for place, rule in enumerate(judging)}
    columns = ",\n".join(f"{fails(rule)} AS {flags[rule.name]}" for rule in judging)
    stored = " AND ".join(_scored(rows, rule, judging) for rule in judging)
    any_score = any_of(
        f"{score(field)} IS NOT NULL" for rule in judging for field in _own(rows, rule, judging)
    )
    count = "count(*) FILTER (scored AND {})"
    counts = [f'{count.format(flags[rule.name])} AS "{rule.name} rejects"' for rule in judging]
    for rule in judging:
        others = any_of(flags[other.name] for other in judging if other is not rule)
        counts.append(f'{count.format(f"{flags[rule.name]} AND NOT {others}")} AS "only {rule.name}"')
    counts += [
        f'{count.format(f"{flags[one.name]} AND {flags[two.name]}")} AS "{one.name} and {two.name}"'
        for one, two in _pairs(judging)
    ]
    listed = ",\n".join(counts)
    return rows.ask(f"""
        SELECT count(*) AS judged, count(*) FILTER (scored) AS scored,
        {listed}
        FROM (
        SELECT {stored} AS scored,
        {columns}
        FROM rows WHERE {JUDGED} AND {any_score}
        )
    """)


def _scored(rows: Rows, rule: Rule, judging: Sequence[Rule]) -> str:
    """SQL: whether a row has this filter's scores, or is of a kind, image or video, that never has."""
    stored = any_of(f"{score(field)} IS NOT NULL" for field in _own(rows, rule, judging))
    kinds = rows.ask(f"SELECT DISTINCT {IS_IMAGE} AS image FROM rows WHERE {stored}")["rows"]
    if len(kinds) != 1:
        return stored
    return f"({stored} OR {'NOT ' if kinds[0]['image'] else ''}{IS_IMAGE})"


def _own(rows: Rows, rule: Rule, judging: Sequence[Rule]) -> list[str]:
    return owned(rule.name, rows.scores, [other.name for other in judging])


def _pairs(judging: Sequence[Rule]) -> list[tuple[Rule, Rule]]:
    return [(one, two) for place, one in enumerate(judging) for two in judging[place + 1 :]]
