"""Records summed up: a score for each category, and what is reported of each part."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import fmean, median
from typing import Any

from omnivideo.evaluation.protocol import overall
from omnivideo.evaluation.run import Record


def summarise(records: Iterable[Record]) -> dict[str, Any]:
    """By part: `groups` with {score, correct, count} each, and the part's own figures.

    `overall` of images and videos is GenEval's, the unweighted mean of its six categories; `done` and
    `outside_psnr` are of edits, `accuracy` of questions, `gain` of think mode. A part that was not asked is
    absent: it has no score.
    """
    parts: dict[str, list[Record]] = {}
    for record in records:
        parts.setdefault(record.part, []).append(record)
    return {part: {"groups": _groups(some), **_figures(part, some)} for part, some in parts.items()}


def _groups(records: Sequence[Record]) -> dict[str, dict[str, Any]]:
    groups: dict[str, list[Record]] = {}
    for record in records:
        groups.setdefault(record.group, []).append(record)
    return {group: _share(some) for group, some in groups.items()}


def _share(records: Sequence[Record]) -> dict[str, Any]:
    correct = sum(record.correct for record in records)
    return {"score": round(correct / len(records), 4), "correct": correct, "count": len(records)}


def _figures(part: str, records: Sequence[Record]) -> dict[str, Any]:
    by_group = {group: share["score"] for group, share in _groups(records).items()}
    if part.endswith("_edit"):
        kept = [record.outside_psnr for record in records if record.outside_psnr is not None]
        figures = {"outside_psnr": round(fmean(kept), 2), "outside_psnr_median": round(median(kept), 2)}
        return {"done": _share(records)["score"], **figures}
    if part.endswith("_questions"):
        return {"accuracy": _share(records)["score"]}
    if part == "think":
        return {"gain": round(by_group["indirect, think mode"] - by_group["indirect"], 4)}
    new, known = ([record for record in records if record.held_out is held] for held in (True, False))
    parted = {"held_out": _share(new) if new else None, "seen": _share(known) if known else None}
    mean = overall(by_group)
    return {"overall": None if mean is None else round(mean, 4), **parted}
