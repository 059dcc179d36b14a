"""One score against another, clip by clip: motion against aesthetics, or what the version has of such."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from curation.audit.rows import Rows, score
from curation.questions.thresholds import Rule

ACROSS = ("motion_mean_flow", "codec_motion_speed", "duration_seconds")  # the first that a version has
UP = ("aesthetics_mean", "quality_sharpness", "brisque_score", "focus_sharpness")
POINTS = 1500  # drawn; the smallest sample ids, which are hashes
HEIGHT = 320  # pixels
LOG_RATIO = 50.0  # of the ends, from which on the score across is drawn over its logarithm


def scatter(rows: Rows, rules: Sequence[Rule]) -> dict[str, Any] | None:
    """The pair of scores, its correlation by rank, and points, kept and dropped; None without both."""
    across, up = (next((one for one in names if one in rows.scores), None) for names in (ACROSS, UP))
    if across is None or up is None:
        return None
    x, y = score(across), score(up)
    both = f"isfinite({x}) AND isfinite({y})"
    spread = rows.ask(f"""
        SELECT count(*) AS clips, quantile_cont({x}, 0.005) AS left, quantile_cont({x}, 0.995) AS right,
        quantile_cont({y}, 0.005) AS low, quantile_cont({y}, 0.995) AS high FROM rows WHERE {both}
    """)
    if not spread["rows"][0]["clips"]:
        return None
    ranks = rows.ask(f"""
        WITH ranked AS (SELECT rank() OVER (ORDER BY {x}) AS a, rank() OVER (ORDER BY {y}) AS b
        FROM rows WHERE {both})
        SELECT corr(a, b) AS spearman FROM ranked
    """)
    points = rows.ask(f"""
        SELECT {x} AS x, {y} AS y, verdict = 'kept' AS kept FROM rows WHERE {both}
        ORDER BY sample_id LIMIT {POINTS}
    """)
    ends = spread["rows"][0]
    log = ends["left"] > 0 and ends["right"] > LOG_RATIO * ends["left"]
    bounds = {
        side: [one.value for rule in rules for one in rule.thresholds if one.score == name]
        for side, name in (("across", across), ("up", up))
    }
    return {
        "across": across,
        "up": up,
        "log": log,
        **ends,
        "spearman": ranks["rows"][0]["spearman"],
        "points": points["rows"],
        "bounds": bounds,
        "figures": {"spread": spread, "ranks": ranks, "points": points},
    }


def drawn(found: Mapping[str, Any]) -> dict[str, Any]:
    """Places of the points and thresholds: across in percent, down in pixels; outliers lie at the border."""

    def across(value: float) -> float:
        ends = [value, found["left"], found["right"]]
        if found["log"]:
            ends = [math.log10(max(one, 1e-12)) for one in ends]
        return round(100 * _part(*ends), 2)

    def down(value: float) -> float:
        return round(HEIGHT * (1 - _part(value, found["low"], found["high"])), 1)

    return {
        "height": HEIGHT,
        "dots": [
            {"x": across(one["x"]), "y": down(one["y"]), "kept": one["kept"]} for one in found["points"]
        ],
        "upright": [{"value": value, "x": across(value)} for value in found["bounds"]["across"]],
        "level": [{"value": value, "y": down(value)} for value in found["bounds"]["up"]],
    }


def _part(value: float, low: float, high: float) -> float:
    return min(max((value - low) / (high - low), 0.0), 1.0) if high > low else 0.5
