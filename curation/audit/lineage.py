"""How the rows came to be: commit, recipe, runs, files and the history of versions."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from curation.audit.rows import Rows
from curation.audit.snapshot import Snapshot

_MOST = 25


def runs(rows: Rows) -> Any:
    """Rows of each run and recipe, the largest first."""
    return rows.ask(f"""
        SELECT run_id, recipe_sha256, count(*) AS clips, count(*) FILTER (verdict = 'kept') AS kept
        FROM rows GROUP BY ALL ORDER BY clips DESC, run_id, recipe_sha256 LIMIT {_MOST}
    """)


def lineage(snapshot: Snapshot, commit: Mapping[str, Any], made: Any) -> dict[str, Any]:
    """The commit behind the rows, with the version's files and the versions before it."""
    told = {key: commit.get(key) for key in ("recipe_sha256", "run_id", "code_version", "model_revisions")}
    return {
        "dataset": snapshot.uri,
        "version": snapshot.version,
        "published": when(snapshot.timestamp_ms),
        **told,
        "input_snapshot": commit.get("input_snapshot"),
        "recipe": commit.get("recipe") or {},
        "runs": made["rows"],
        "files": _files(snapshot),
        "history": [_version(entry) for entry in snapshot.history[:_MOST]],
        "versions_not_listed": max(0, len(snapshot.history) - _MOST),
        "figures": {"runs": made},
    }


def when(timestamp_ms: int | None) -> str | None:
    """A time of the log as ISO 8601, UTC, to the second."""
    if timestamp_ms is None:
        return None
    return (
        datetime.fromtimestamp(timestamp_ms / 1000, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    )


def _files(snapshot: Snapshot) -> list[dict[str, Any]]:
    groups: dict[str, dict[str, Any]] = {}
    for file in snapshot.files:
        verdict = str(file.partition.get("verdict", "all"))
        group = groups.setdefault(verdict, {"verdict": verdict, "files": 0, "rows": 0, "bytes": 0})
        group["files"] += 1
        group["rows"] += file.rows
        group["bytes"] += file.bytes
    return sorted(groups.values(), key=lambda group: -int(group["bytes"]))


def _version(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "version": entry["version"],
        "published": when(entry.get("timestamp")),
        "operation": entry.get("operation"),
        "run_id": entry.get("run_id"),
        "recipe_sha256": entry.get("recipe_sha256"),
    }
