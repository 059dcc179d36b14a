"""From what media work returns to rows: judged clips, inputs that failed, and copies."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

import pyarrow as pa

from curation.media.records import ClipRecord, ScanResult, Span, span_of

TASKS = {"image": "text_to_image", "video": "text_to_video"}
GENERATION = frozenset(TASKS.values())  # tasks whose media is curated; that of others came with its text
DEDUP = "dedup"
EXACT_DUPLICATE, NEAR_DUPLICATE = "exact_duplicate", "near_duplicate"  # reasons
_SAME, _ALIKE = "same bytes as ", "looks like "  # how the details of duplicates begin

# A judged clip as it is staged: what its content says, nothing of where the file lies.
JUDGED = pa.schema(
    [
        ("sample_id", pa.string()),
        ("source_sha256", pa.string()),
        ("task", pa.string()),
        ("start_s", pa.float64()),
        ("end_s", pa.float64()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("fps", pa.float64()),
        ("num_frames", pa.int32()),
        ("verdict", pa.string()),
        ("filter", pa.string()),
        ("reason", pa.string()),
        ("detail", pa.string()),
        ("scores", pa.map_(pa.string(), pa.float64())),
        ("fingerprint", pa.binary()),
        ("thumbnail", pa.binary()),
        ("signals", pa.string()),  # JSON
        ("annotation", pa.string()),  # JSON: what a dataset's record says, by the columns of the same names
    ]
)


def sample_id(content: str, span: str, task: str | None) -> str:
    """Id of a row, the same on any machine, from the source's hash, the span in ms, and the task."""
    return hashlib.sha256(f"{content}:{span}:{task}".encode()).hexdigest()[:32]


def span(start_s: float, end_s: float) -> str:
    """A clip's span as ids and cuts name it, in whole milliseconds."""
    return f"{round(start_s * 1000)}-{round(end_s * 1000)}"


def judged(
    sha256: str, result: ScanResult, measured: Mapping[Span, Mapping[str, Any]] | None = None
) -> pa.Table:
    """The judged clips of one file; a file without any clip is an error, or it would vanish.

    Clips whose record has no thumbnail have what goes with it in `measured`, by their span.
    """
    if not result.clips:
        return failed(sha256, "decode", "empty", "no clip in the file")
    before = measured or {}
    return table(_clip(sha256, clip) | _seen(clip, before) for clip in result.clips)


def _seen(clip: ClipRecord, measured: Mapping[Span, Mapping[str, Any]]) -> dict[str, Any]:
    if clip["thumbnail"]:
        return {}
    row = measured[span_of(clip)]
    return {name: row[name] for name in ("thumbnail", "fingerprint", "signals")}


def failed(sha256: str, step: str, reason: str, detail: str) -> pa.Table:
    """The one row of a file that could not be judged, as a table of judged clips."""
    return table([{"source_sha256": sha256, **error(sha256, step, reason, detail)}])


def error(content: str, step: str, reason: str, detail: str) -> dict[str, Any]:
    """What says of an input that it failed: at which step, with which slug and message."""
    return {
        "sample_id": sample_id(content, "file", None),
        "verdict": "error",
        "filter": step,
        "reason": reason,
        "detail": detail,
    }


def copy(sha256: str, uri: str, task: str | None, original: str) -> dict[str, Any]:
    """What says of a file that it has the same bytes as another one."""
    return {
        "sample_id": sample_id(sha256, f"copy:{uri}", task),
        "task": task,
        "verdict": "duplicate",
        "filter": DEDUP,
        "reason": EXACT_DUPLICATE,
        "detail": f"{_SAME}{original}",
    }


def again(uri: str, original: str) -> dict[str, Any]:
    """What says of a record, by its own uri, that it names a file which another record names."""
    return {
        "sample_id": sample_id(f"uri:{uri}", "file", None),
        "verdict": "duplicate",
        "filter": DEDUP,
        "reason": EXACT_DUPLICATE,
        "detail": f"{_SAME}{original}",
    }


def looks_like(winner: str, hamming: float) -> dict[str, Any]:
    """What says of a clip that it looks like another, so many of 64 bits apart."""
    detail = f"{_ALIKE}{winner}, {hamming:g} of 64 bits apart"
    return {"verdict": "duplicate", "filter": DEDUP, "reason": NEAR_DUPLICATE, "detail": detail}


def original(row: Mapping[str, Any]) -> str | None:
    """Of an exact copy, the file that it repeats; of a clip that looks like another, that one's sample id."""
    detail = str(row["detail"] or "")
    if row["verdict"] != "duplicate":
        return None
    if detail.startswith(_SAME):
        return detail.removeprefix(_SAME)
    return detail.removeprefix(_ALIKE).partition(",")[0] if detail.startswith(_ALIKE) else None


def _clip(sha256: str, clip: ClipRecord) -> dict[str, Any]:
    task = TASKS[clip["kind"]]
    kept = clip["filter"] is None
    return {
        **{key: clip[key] for key in ("start_s", "end_s", "width", "height", "fps", "num_frames")},
        **{key: clip[key] for key in ("fingerprint", "thumbnail", "filter", "reason")},
        "sample_id": sample_id(sha256, span(clip["start_s"], clip["end_s"]), task),
        "source_sha256": sha256,
        "task": task,
        "verdict": "kept" if kept else "rejected",
        "scores": list(clip["scores"].items()),
        "signals": json.dumps(clip["signals"], sort_keys=True),
    }


def table(rows: Iterable[dict[str, Any]]) -> pa.Table:
    """Rows as a table of judged clips."""
    return pa.Table.from_pylist(list(rows), schema=JUDGED)
