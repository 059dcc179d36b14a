"""Clips to look at: some of each verdict and reason, and those nearest to each threshold."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from curation.audit.rows import Figure, Rows, score, text
from curation.audit.thresholds import beyond
from curation.questions.thresholds import Rule, Threshold

FIELDS = (
    "sample_id, task, source, left(uri, 1000) AS uri, licence, start_s, end_s, width, height, fps, "
    'num_frames, verdict, "filter", reason, left(detail, 1000) AS detail, left(caption, 600) AS caption, '
    "left(caption_original, 300) AS caption_original, left(instruction, 300) AS instruction, captioner, "
    "scores"
)
"""What a sheet shows of a row, as SQL."""

CAPTIONS = 8
"""Of the kept samples, how many are shown again beside their captions."""

_MOST_GROUPS = 16
_SAMPLE_ID = re.compile(r"\b[0-9a-f]{32}\b")
_MAGIC = ((b"\xff\xd8\xff", "image/jpeg"), (b"\x89PNG\r\n\x1a\n", "image/png"))


def samples(rows: Rows, rules: Sequence[Rule]) -> dict[str, Any]:
    """Sheets of clips. Sample ids are hashes: the smallest are a random choice that does not change."""
    kept = rows.ask(f"SELECT {FIELDS} FROM rows WHERE verdict = 'kept' ORDER BY sample_id LIMIT 24")
    return {
        "kept": kept,
        "rejected": _grouped(rows, "rejected", 6),
        "duplicate": _grouped(rows, "duplicate", 6),
        "error": _grouped(rows, "error", 6),
        "near": [_near(rows, threshold) for rule in rules for threshold in rule.thresholds],
    }


def _grouped(rows: Rows, verdict: str, each: int) -> dict[str, Any]:
    """Some clips per filter and reason, the largest groups first."""
    groups = rows.ask(f"""
        SELECT "filter", reason, count(*) AS clips FROM rows WHERE verdict = '{verdict}'
        GROUP BY ALL ORDER BY clips DESC, "filter", reason LIMIT {_MOST_GROUPS}
    """)
    found = [{**group, "samples": _of_group(rows, verdict, group, each)} for group in groups["rows"]]
    if verdict == "duplicate":
        found = [{**group, "originals": _originals(rows, group["samples"])} for group in found]
    return {"groups": found, "figure": groups}


def _of_group(rows: Rows, verdict: str, group: dict[str, Any], each: int) -> Figure:
    conditions = " AND ".join(
        f"{column} IS NULL" if group[key] is None else f"{column} = {text(group[key])}"
        for key, column in (("filter", '"filter"'), ("reason", "reason"))
    )
    return rows.ask(f"""
        SELECT {FIELDS} FROM rows WHERE verdict = '{verdict}' AND {conditions}
        ORDER BY sample_id LIMIT {each}
    """)


def original(row: Mapping[str, Any]) -> str | None:
    """Sample id of the clip that a near duplicate looks like, as its `detail` names it."""
    found = _SAMPLE_ID.search(row["detail"] or "")
    return found[0] if found and row["verdict"] == "duplicate" else None


def _originals(rows: Rows, duplicates: Figure) -> Figure:
    """The clips that stay for these duplicates."""
    named = sorted({found for row in duplicates["rows"] if (found := original(row))})
    listed = ", ".join(map(text, named)) or "''"
    return rows.ask(f"SELECT {FIELDS} FROM rows WHERE sample_id IN ({listed}) ORDER BY sample_id")


def _near(rows: Rows, threshold: Threshold) -> dict[str, Any]:
    """The clips that this threshold only just rejected, and the kept ones that only just passed it."""
    distance = f"abs({score(threshold.score)} - ({threshold.value!r}))"
    just_out = rows.ask(f"""
        SELECT {FIELDS} FROM rows WHERE verdict = 'rejected' AND "filter" = {text(threshold.filter)}
        AND {beyond(threshold)} ORDER BY {distance}, sample_id LIMIT 4
    """)
    just_in = rows.ask(f"""
        SELECT {FIELDS} FROM rows WHERE verdict = 'kept' AND {score(threshold.score)} IS NOT NULL
        AND NOT {beyond(threshold)} ORDER BY {distance}, sample_id LIMIT 4
    """)
    return {
        "filter": threshold.filter,
        "field": threshold.field,
        "score": threshold.score,
        "side": threshold.side,
        "value": threshold.value,
        "rejected": just_out,
        "kept": just_in,
    }


def sheets(found: dict[str, Any], changed: dict[str, Any] | None) -> list[list[str]]:
    """Sample ids of every sheet of the report, each in the order shown."""
    figures = [found["kept"], {"rows": found["kept"]["rows"][:CAPTIONS]}]
    for verdict in ("rejected", "duplicate", "error"):
        figures += [group["samples"] for group in found[verdict]["groups"]]
    figures += [group["originals"] for group in found["duplicate"]["groups"]]
    figures += [near[side] for near in found["near"] for side in ("rejected", "kept")]
    if changed:
        figures += [changed["now_kept"], changed["now_dropped"]]
    return [[row["sample_id"] for row in figure["rows"] if row["sample_id"]] for figure in figures]


def pictures(rows: Rows, shown: list[list[str]], budget: int) -> dict[str, str]:
    """Data URIs of the samples' thumbnails, at most `budget` characters of them.

    One of each sheet in turn, so that a small budget leaves no sheet empty. What is no JPEG, PNG or WebP is
    left out.
    """
    order = list(dict.fromkeys(_in_turn(shown)))
    stored = dict(rows.thumbnails(order))
    times = {sample: sum(sample in sheet for sheet in shown) for sample in order}
    taken: dict[str, str] = {}
    for sample in order:
        picture = _data_uri(stored.get(sample, b""))
        if picture is not None and len(picture) * times[sample] <= budget:
            budget -= len(picture) * times[sample]
            taken[sample] = picture
    return taken


def _in_turn(shown: list[list[str]]) -> Iterable[str]:
    for place in range(max(map(len, shown), default=0)):
        for sheet in shown:
            yield from sheet[place : place + 1]


def _data_uri(picture: bytes) -> str | None:
    kind = next((kind for magic, kind in _MAGIC if picture.startswith(magic)), None)
    if picture[:4] == b"RIFF" and picture[8:12] == b"WEBP":
        kind = "image/webp"
    return f"data:{kind};base64,{base64.b64encode(picture).decode()}" if kind else None
