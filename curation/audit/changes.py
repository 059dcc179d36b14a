"""What is different from another version: verdicts, inputs, scores of the new clips, and the recipe."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from curation.audit.funnel import share
from curation.audit.rows import Rows, rounded, score
from curation.audit.samples import FIELDS

_DECILES = "[0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]"
_FEW = 30  # scores on either side, below which a shift is noise
_EMPTY_BIN = 1e-4  # share that an empty bin counts as, so that the logarithm exists

_MOVES = """
SELECT coalesce(b.verdict, 'absent') AS before, coalesce(a.verdict, 'absent') AS after, count(*) AS clips
FROM before AS b FULL JOIN rows AS a USING (sample_id) GROUP BY ALL ORDER BY ALL
"""
_INPUTS = """
SELECT (SELECT count(DISTINCT uri) FROM rows ANTI JOIN before USING (uri)) AS added,
(SELECT count(DISTINCT uri) FROM before ANTI JOIN rows USING (uri)) AS gone
"""
_NEW = """
SELECT 'before' AS clips_of, count(*) AS clips, count(*) FILTER (verdict = 'kept') AS kept,
count(*) FILTER (verdict = 'error') AS error FROM before
UNION ALL
SELECT 'new', count(*), count(*) FILTER (verdict = 'kept'), count(*) FILTER (verdict = 'error')
FROM rows ANTI JOIN before USING (sample_id)
"""


def changes(
    rows: Rows, version: int, recipe: Mapping[str, Any], recipe_before: Mapping[str, Any]
) -> dict[str, Any]:
    """The version audited against `before`, which is `version`."""
    moves, inputs, new = rows.ask(_MOVES), rows.ask(_INPUTS), rows.ask(_NEW)
    shared = sorted(set(rows.scores) & set(rows.scores_before))
    return {
        "against": version,
        "moves": moves["rows"],
        "verdicts": _verdicts(moves["rows"]),
        "inputs": inputs["rows"][0],
        "new": [_rates(row) for row in new["rows"]],
        "drift": [drift for name in shared if (drift := _drift(rows, name)) is not None],
        "recipe": compare(recipe, recipe_before),
        "now_kept": _moved(rows, "a.verdict = 'kept' AND b.verdict <> 'kept'"),
        "now_dropped": _moved(rows, "a.verdict <> 'kept' AND b.verdict = 'kept'"),
        "figures": {"moves": moves, "inputs": inputs, "new": new},
    }


def _verdicts(moves: list[dict[str, Any]]) -> list[dict[str, Any]]:
    counts: dict[str, dict[str, int]] = {}
    for move in moves:
        for side in ("before", "after"):
            own = counts.setdefault(move[side], {"before": 0, "after": 0})
            own[side] += move["clips"]
    order = [verdict for verdict in ("kept", "rejected", "duplicate", "error") if verdict in counts]
    return [
        {
            "verdict": verdict,
            **counts[verdict],
            "change": counts[verdict]["after"] - counts[verdict]["before"],
        }
        for verdict in order
    ]


def _rates(row: dict[str, Any]) -> dict[str, Any]:
    rates = {"kept_share": share(row["kept"], row["clips"]), "error_share": share(row["error"], row["clips"])}
    return row | rates


def _moved(rows: Rows, where: str) -> Any:
    return rows.ask(f"""
        SELECT {FIELDS}
        FROM (SELECT a.* FROM rows AS a JOIN before AS b ON a.sample_id = b.sample_id WHERE {where})
        ORDER BY sample_id LIMIT 6
    """)


def _drift(rows: Rows, name: str) -> dict[str, Any] | None:
    """Population stability index of a score, the new clips against those before over deciles of before; and
    the Kolmogorov-Smirnov distance, the largest difference of the two distribution functions.

    An index under 0.1 is usually called stable, over 0.25 a shift (Siddiqi, Credit Risk Scorecards, 2006).
    """
    value = score(name)
    figure = rows.ask(f"""
        WITH cuts AS (SELECT quantile_cont({value}, {_DECILES}) AS cuts FROM before WHERE isfinite({value})),
        both_sides AS (
        SELECT 'before' AS clips_of, {value} AS value FROM before WHERE isfinite({value})
        UNION ALL
        SELECT 'new', {value} FROM rows ANTI JOIN before USING (sample_id) WHERE isfinite({value})
        )
        SELECT clips_of, len(list_filter(cuts, lambda cut: value > cut)) AS bin, count(*) AS clips,
        median(value) AS middle FROM both_sides, cuts GROUP BY ALL ORDER BY ALL
    """)
    sides = {side: _side(figure["rows"], side) for side in ("before", "new")}
    clips_before, clips_new = (sum(sides[side].values()) for side in ("before", "new"))
    if min(clips_before, clips_new) < _FEW:
        return None
    distance = rows.ask(f"""
        WITH both_sides AS (
        SELECT {value} AS value, 1 AS old, 0 AS new FROM before WHERE isfinite({value})
        UNION ALL
        SELECT {value}, 0, 1 FROM rows ANTI JOIN before USING (sample_id) WHERE isfinite({value})
        ), steps AS (SELECT value, sum(old) AS old, sum(new) AS new FROM both_sides GROUP BY value)
        SELECT max(abs(old_share - new_share)) AS ks FROM (
        SELECT sum(old) OVER up_to / sum(old) OVER () AS old_share,
        sum(new) OVER up_to / sum(new) OVER () AS new_share
        FROM steps WINDOW up_to AS (ORDER BY value ROWS UNBOUNDED PRECEDING))
    """)
    medians = rows.ask(f"""
        SELECT (SELECT median({value}) FROM before WHERE isfinite({value})) AS before,
        (SELECT median({value}) FROM rows ANTI JOIN before USING (sample_id) WHERE isfinite({value})) AS new
    """)
    return {
        "score": name,
        "psi": rounded(_psi(sides["before"], sides["new"])),
        **distance["rows"][0],
        "ks_noise": rounded(_ks_noise(clips_before, clips_new)),
        "clips_before": clips_before,
        "clips_new": clips_new,
        **medians["rows"][0],
        "figures": {"bins": figure, "distance": distance, "medians": medians},
    }


def _side(found: list[dict[str, Any]], side: str) -> dict[int, int]:
    return {row["bin"]: row["clips"] for row in found if row["clips_of"] == side}


def _ks_noise(before: int, new: int) -> float:
    """The distance that two samples of one distribution exceed once in twenty times (Smirnov, 1948)."""
    return 1.358 * math.sqrt((before + new) / (before * new))


def _psi(before: dict[int, int], new: dict[int, int]) -> float:
    total_before, total_new = sum(before.values()), sum(new.values())
    index = 0.0
    for place in range(10):
        old = max(before.get(place, 0) / total_before, _EMPTY_BIN)
        now = max(new.get(place, 0) / total_new, _EMPTY_BIN)
        index += (now - old) * math.log(now / old)
    return index


def compare(now: Mapping[str, Any], before: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Keys, by dotted path, whose values differ; None where a side lacks the key."""
    new, old = _flat("", now), _flat("", before)
    return [
        {"key": key, "before": old.get(key), "after": new.get(key)}
        for key in sorted(new.keys() | old.keys())
        if new.get(key) != old.get(key)
    ]


def _flat(prefix: str, value: Any) -> dict[str, Any]:
    if isinstance(value, Mapping) and value:
        parts = value.items()
    elif prefix == "filters" and isinstance(value, list):
        entries = [entry if isinstance(entry, Mapping) else {entry: "(defaults)"} for entry in value]
        parts = [(rule, fields) for entry in entries for rule, fields in entry.items()]  # type: ignore[assignment]
    else:
        return {prefix: value}
    return {
        path: leaf
        for key, inner in parts
        for path, leaf in _flat(f"{prefix}.{key}" if prefix else str(key), inner).items()
    }
