"""Where every clip went, and the checks that the account is complete."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from curation.audit.rows import Rows, text
from curation.audit.snapshot import Snapshot
from curation.audit.thresholds import any_of, fails
from curation.questions.thresholds import Rule

VERDICTS = ("kept", "rejected", "duplicate", "error")

_TOTALS = """
SELECT count(*) AS clips,
count(DISTINCT coalesce(uri, source_sha256, sample_id)) AS inputs,
count(*) FILTER (verdict = 'kept') AS kept,
count(*) FILTER (verdict = 'duplicate') AS duplicate,
count(*) FILTER (verdict = 'error') AS error,
count(*) FILTER (verdict = 'rejected' AND "filter" IS NOT NULL) AS rejected,
coalesce(sum(end_s - start_s) FILTER (verdict = 'kept'), 0) AS kept_seconds
FROM rows
"""
_REASONS = """
SELECT verdict, "filter", reason, count(*) AS clips,
count(DISTINCT coalesce(uri, source_sha256, sample_id)) AS files
FROM rows WHERE verdict <> 'kept' GROUP BY ALL ORDER BY verdict, "filter", clips DESC, reason
"""


def funnel(rows: Rows, rules: Sequence[Rule]) -> dict[str, Any]:
    """Counts from inputs to kept, with one step per filter of the recipe or of the rows."""
    totals = rows.ask(_TOTALS)
    reasons = rows.ask(_REASONS)
    total = totals["rows"][0]
    rejected = _by_filter(reasons["rows"])
    order = _order([rule.name for rule in rules], rejected)
    dropped = [("rejected", rule, rejected.get(rule, 0)) for rule in order]
    dropped += [("duplicate", "dedup", total["duplicate"]), ("error", "errors", total["error"])]
    return {
        **{key: total[key] for key in ("inputs", "clips", "kept", "duplicate", "error")},
        "rejected": {rule: rejected.get(rule, 0) for rule in order},
        "kept_seconds": total["kept_seconds"],
        "kept_share": share(total["kept"], total["clips"]),
        "error_share": share(total["error"], total["clips"]),
        "closes": total["clips"] == sum(total[key] for key in ("kept", "duplicate", "error", "rejected")),
        "steps": _steps(total["clips"], dropped, reasons["rows"]),
        "figures": {"totals": totals, "reasons": reasons},
    }


def share(part: int, whole: int) -> float | None:
    """part / whole, None of nothing."""
    return round(part / whole, 6) if whole else None


def _order(recipe: list[str], rejected: Mapping[str, int]) -> list[str]:
    """Rejecting steps as clips meet them: splitting, the recipe's filters, and any that it does not name."""
    others = sorted(rejected.keys() - {"split", *recipe})
    return [*(["split"] if "split" in rejected else []), *recipe, *others]


def _by_filter(reasons: list[dict[str, Any]]) -> dict[str, int]:
    found: dict[str, int] = {}
    for row in reasons:
        if row["verdict"] == "rejected" and row["filter"] is not None:
            found[row["filter"]] = found.get(row["filter"], 0) + row["clips"]
    return found


def _steps(
    clips: int, dropped: list[tuple[str, str, int]], reasons: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    steps, left = [], clips
    for verdict, step, count in dropped:
        own = [
            {"reason": row["reason"], "clips": row["clips"], "files": row["files"]}
            for row in reasons
            if row["verdict"] == verdict and (verdict != "rejected" or row["filter"] == step)
        ]
        entering, left = left, left - count
        steps.append(
            {
                "verdict": verdict,
                "name": step,
                "in": entering,
                "dropped": count,
                "left": left,
                "share": share(count, entering),
                "reasons": own,
            }
        )
    return steps


def checks(
    rows: Rows,
    counted: Mapping[str, Any],
    rules: Sequence[Rule],
    snapshot: Snapshot,
    commit: Mapping[str, Any],
) -> list[dict[str, Any]]:
    """What must hold of any dataset, each with a count of the rows that break it (None: cannot be told)."""
    failing = any_of(map(fails, rules))
    verdicts = ", ".join(text(verdict) for verdict in VERDICTS)
    told = [
        ("Every row has one of the four verdicts", f"verdict IS NULL OR verdict NOT IN ({verdicts})"),
        (
            "Every rejection names its filter and its reason",
            "verdict = 'rejected' AND (\"filter\" IS NULL OR reason IS NULL)",
        ),
        (
            "Every error says what happened",
            "verdict = 'error' AND coalesce(trim(detail), '') = '' AND coalesce(reason, '') = ''",
        ),
        ("No kept clip lies beyond a threshold of the recipe", f"verdict = 'kept' AND {failing}"),
        (
            "Every kept row has words to train on",
            "verdict = 'kept' AND task IN ('text_to_image', 'text_to_video', 'image_edit', 'video_edit') "
            "AND coalesce(trim(caption), trim(instruction), '') = ''",
        ),
        ("Every kept row has media of a named format", "verdict = 'kept' AND media_format IS NULL"),
        ("Every row has a sample id", "coalesce(sample_id, '') = ''"),
    ]
    found = [_breaking(rows, what, where) for what, where in told]
    others = [_unique(rows), _read(rows, snapshot), *_media(rows, snapshot), *_funnel(rows, commit)]
    return [_closing(counted), *found, *others]


def _check(what: str, broken: int | None, figure: Mapping[str, Any] | None = None) -> dict[str, Any]:
    holds = broken == 0 if broken is not None else None
    return {"what": what, "broken": broken, "holds": holds, "figure": figure}


def _closing(counted: Mapping[str, Any]) -> dict[str, Any]:
    accounted = counted["kept"] + counted["duplicate"] + counted["error"] + sum(counted["rejected"].values())
    what = "The funnel closes: clips = kept + rejected + duplicates + errors"
    return _check(what, abs(counted["clips"] - accounted), counted["figures"]["totals"])


def _breaking(rows: Rows, what: str, where: str) -> dict[str, Any]:
    figure = rows.ask(f"SELECT count(*) AS broken FROM rows WHERE {where}")
    return _check(what, figure["rows"][0]["broken"], figure)


def _unique(rows: Rows) -> dict[str, Any]:
    figure = rows.ask("SELECT count(*) - count(DISTINCT sample_id) AS broken FROM rows")
    return _check("Sample ids are unique", figure["rows"][0]["broken"], figure)


def _read(rows: Rows, snapshot: Snapshot) -> dict[str, Any]:
    figure = rows.ask("SELECT count(*) AS clips FROM rows")
    missing = abs(figure["rows"][0]["clips"] - snapshot.rows)
    return _check("The files hold as many rows as the log says", missing, figure)


def _media(rows: Rows, snapshot: Snapshot) -> list[dict[str, Any]]:
    """By the footers of the files of kept rows, where these count NULLs: the media is not read."""
    kept = [file.uri for file in snapshot.files if file.partition.get("verdict") == "kept"]
    missing = rows.media_nulls(kept)
    what = "Every kept row has its media (by the files' footers)"
    return [_check(what, missing)] if missing is not None else []


def _funnel(rows: Rows, commit: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The funnel that the run printed against its rows, or against all rows where it judged them all."""
    said = commit.get("funnel")
    if not isinstance(said, dict):
        return []
    run = text(str(commit.get("run_id")))
    figure = rows.ask(f"""
        SELECT run_id = {run} AS by_the_run, verdict, "filter", count(*) AS clips
        FROM rows GROUP BY ALL ORDER BY ALL
    """)
    own = [row for row in figure["rows"] if row["by_the_run"]]
    broken = min(_distance(said, own), _distance(said, figure["rows"]))
    return [_check("The run's own funnel is that of its rows", broken, figure)]


def _distance(said: Mapping[str, Any], found: list[dict[str, Any]]) -> int:
    counts: dict[str, int] = {}
    for row in found:
        key = f"rejected {row['filter']}" if row["verdict"] == "rejected" else str(row["verdict"])
        counts[key] = counts.get(key, 0) + row["clips"]
    told = {key: int(said.get(key) or 0) for key in ("kept", "duplicate", "error")}
    told |= {f"rejected {rule}": int(count) for rule, count in (said.get("rejected") or {}).items()}
    return sum(abs(told.get(key, 0) - counts.get(key, 0)) for key in told.keys() | counts.keys())
