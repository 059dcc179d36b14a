"""What the version holds: its sources, the shape of its clips, its captions, and its mix of tasks."""

from __future__ import annotations

from typing import Any

from curation.audit.funnel import share
from curation.audit.histogram import histogram
from curation.audit.rows import Rows
from curation.audit.texts import texts
from curation.audit.thresholds import IS_IMAGE

TABLE_1 = {
    "image_understanding": 0.379,
    "video_understanding": 0.0436,
    "text_to_image": 0.3305,
    "text_to_video": 0.0397,
    "image_edit": 0.1895,
    "video_edit": 0.0176,
}
"""Shares of the tasks in the paper's training data (Table 1)."""

_MOST = 40  # rows of a table; what is beyond is counted, not listed
_SERIES = {"kept": "verdict = 'kept'", "dropped": "verdict <> 'kept'"}
_WORDS = "length(trim(caption)) - length(replace(trim(caption), ' ', '')) + 1"
_WITH_CAPTION = "verdict = 'kept' AND coalesce(trim(caption), '') <> ''"


def sources(rows: Rows) -> dict[str, Any]:
    """Yield, errors and licences of each source, the largest first."""
    figure = rows.ask("""
        SELECT coalesce(source, '(none)') AS source,
        count(DISTINCT coalesce(uri, source_sha256, sample_id)) AS files, count(*) AS clips,
        count(*) FILTER (verdict = 'kept') AS kept, count(*) FILTER (verdict = 'rejected') AS rejected,
        count(*) FILTER (verdict = 'duplicate') AS duplicate, count(*) FILTER (verdict = 'error') AS error,
        coalesce(sum(end_s - start_s) FILTER (verdict = 'kept'), 0) AS kept_seconds,
        count(DISTINCT licence) AS licences, any_value(licence ORDER BY licence) AS licence
        FROM rows GROUP BY ALL ORDER BY clips DESC, source
    """)
    licences = rows.ask("""
        SELECT coalesce(nullif(trim(licence), ''), '(unknown)') AS licence, count(*) AS clips,
        count(*) FILTER (verdict = 'kept') AS kept
        FROM rows GROUP BY ALL ORDER BY kept DESC, licence
    """)
    listed = [{**row, "yield": share(row["kept"], row["clips"])} for row in figure["rows"]]
    figure["rows"] = figure["rows"][:_MOST]
    return {
        "count": len(listed),
        "listed": listed[:_MOST],
        "licences": licences["rows"][:_MOST],
        "figures": {"sources": figure, "licences": licences},
    }


def shapes(rows: Rows) -> dict[str, Any]:
    """Distributions of size, aspect, length and rate; kept beside dropped."""
    videos = f"NOT {IS_IMAGE}"
    charts = {
        "short_side_pixels": histogram(rows, "least(width, height)::DOUBLE", _SERIES),
        "aspect_ratio": histogram(rows, "width::DOUBLE / nullif(height, 0)", _SERIES),
        "duration_seconds": histogram(rows, "(end_s - start_s)", _SERIES, where=videos),
        "frames_per_second": histogram(rows, "fps", _SERIES, where=videos),
    }
    sizes = rows.ask("""
        SELECT width, height, count(*) AS clips, count(*) FILTER (verdict = 'kept') AS kept
        FROM rows WHERE width IS NOT NULL GROUP BY ALL ORDER BY kept DESC, clips DESC, width, height LIMIT 12
    """)
    kinds = rows.ask(f"""
        SELECT CASE WHEN {IS_IMAGE} THEN 'image' ELSE 'video' END AS kind, count(*) AS kept,
        coalesce(sum(end_s - start_s), 0) AS seconds, coalesce(sum(num_frames), 0)::DOUBLE AS frames
        FROM rows WHERE verdict = 'kept' GROUP BY ALL ORDER BY kind
    """)
    figures = {"sizes": sizes, "kinds": kinds}
    return {"charts": charts, "sizes": sizes["rows"], "kinds": kinds["rows"], "figures": figures}


def captions(rows: Rows) -> dict[str, Any]:
    """Length, authors, repetitions and openings of the kept clips' captions."""
    totals = rows.ask("""
        SELECT count(*) AS kept, count(*) FILTER (coalesce(trim(caption), '') <> '') AS captioned,
        count(DISTINCT caption) AS distinct_captions, count(caption_original) AS with_original
        FROM rows WHERE verdict = 'kept'
    """)
    authors = rows.ask(f"""
        SELECT coalesce(captioner, '(none)') AS captioner, count(*) AS captions,
        count(DISTINCT caption) AS distinct_captions, avg({_WORDS}) AS mean_words
        FROM rows WHERE {_WITH_CAPTION} GROUP BY ALL ORDER BY captions DESC, captioner LIMIT 20
    """)
    repeated = rows.ask(f"""
        SELECT left(caption, 300) AS caption, count(*) AS clips FROM rows
        WHERE {_WITH_CAPTION} GROUP BY ALL HAVING count(*) > 1 ORDER BY clips DESC, caption LIMIT 8
    """)
    openings = rows.ask(f"""
        SELECT lower(array_to_string(string_split(left(trim(caption), 80), ' ')[1:3], ' '))
        AS opening, count(*) AS captions FROM rows
        WHERE {_WITH_CAPTION} GROUP BY ALL HAVING count(*) > 1 ORDER BY captions DESC, opening LIMIT 8
    """)
    return {
        **totals["rows"][0],
        "words": histogram(rows, f"({_WORDS})::DOUBLE", {"kept": "true"}, where=_WITH_CAPTION),
        "captioners": authors["rows"],
        "repeated": repeated["rows"],
        "openings": openings["rows"],
        "texts": texts(rows),
        "figures": {"totals": totals, "captioners": authors, "repeated": repeated, "openings": openings},
    }


def mix(rows: Rows) -> dict[str, Any]:
    """Kept samples of each task against Table 1 of the paper.

    `weight` is what to draw a task by, relative to its size, for batches mixed as the paper's data.
    """
    figure = rows.ask("""
        SELECT coalesce(task, '(none)') AS task, count(*) AS kept
        FROM rows WHERE verdict = 'kept' GROUP BY ALL ORDER BY task
    """)
    counts = {row["task"]: row["kept"] for row in figure["rows"]}
    total = sum(counts.values())
    tasks = [*TABLE_1, *sorted(counts.keys() - TABLE_1.keys())]
    return {
        "kept": total,
        "tasks": [_task(task, counts.get(task, 0), total) for task in tasks],
        "distance": _distance(counts, total),
        "figures": {"tasks": figure},
    }


def _task(task: str, kept: int, total: int) -> dict[str, Any]:
    here, paper = share(kept, total), TABLE_1.get(task)
    weight = round(paper / here, 4) if paper is not None and here else None
    return {"task": task, "kept": kept, "share": here, "paper": paper, "weight": weight}


def _distance(counts: dict[str, int], total: int) -> float | None:
    """Total variation distance to Table 1: the share of samples that would have to change task; 0 to 1."""
    if not total:
        return None
    tasks = TABLE_1.keys() | counts.keys()
    return round(sum(abs(counts.get(task, 0) / total - TABLE_1.get(task, 0.0)) for task in tasks) / 2, 4)
