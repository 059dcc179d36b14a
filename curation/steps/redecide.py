"""Clips of the version before under new thresholds: decided from their stored scores, without their files.

What determines clips and scores (the split, the fields of a filter that are no thresholds) is hashed apart
from what decides on them; the commit of each recipe keeps these hashes (`measured`). A row whose recipe
measured as the new one does needs no decoding, and if its verdict stays, the row stays as it is.

One thing differs from judging the file again: where a stricter threshold rejects a whole file by its header,
its clips stay rows of their own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from curation.cascade import Cascade
from curation.config import CurateRequest
from curation.filters import Kind
from curation.store import rows

Row = dict[str, Any]


@dataclass(frozen=True)
class Decided:
    """Clips by the hash of their file, as `rows.JUDGED` has them, each with the published row `before`."""

    whole: dict[str, list[Row]] = field(default_factory=dict)  # files with no other clips
    partly: dict[str, list[Row]] = field(default_factory=dict)  # files whose other clips need a scan
    measured: dict[str, list[Row]] = field(default_factory=dict)  # those other clips, if their split holds

    def carried(self) -> set[str]:
        """Ids of clips that are measured anew and have media that is as it would be cut now."""
        rows = (row for clips in self.measured.values() for row in clips)
        return {row["sample_id"] for row in rows if row["carried"]}


def redecide(
    published: Iterable[Row],
    history: Iterable[Mapping[str, Any]],
    request: CurateRequest,
    order: Sequence[str] = (),
) -> Decided:
    """All that this request's thresholds say of published rows, but for those that its own recipe judged."""
    recipe, now = request.recipe_sha256(), request.measured()
    measured = {commit.get("recipe_sha256"): commit.get("measured") for commit in reversed(list(history))}
    files: dict[str, list[Row]] = {}
    for row in published:
        curated = row["task"] is None or row["task"] in rows.GENERATION
        if row["source_sha256"] is not None and row["reason"] != rows.EXACT_DUPLICATE and curated:
            files.setdefault(row["source_sha256"], []).append(row)
    judge = _Judge(request, now, order)
    found = Decided()
    for sha256, clips in files.items():
        if all(clip["recipe_sha256"] == recipe for clip in clips):
            continue
        decided = [judge(clip, measured.get(clip["recipe_sha256"]) or {}) for clip in clips]
        left = [clip for clip in decided if clip is not None]
        if left:
            (found.whole if len(left) == len(clips) else found.partly)[sha256] = left
        lacking = [clip for clip, verdict in zip(clips, decided, strict=True) if verdict is None]
        known = [judge.known(clip, measured.get(clip["recipe_sha256"]) or {}) for clip in lacking]
        if lacking and all(known):
            found.measured[sha256] = [clip for clip in known if clip]
    return found


class _Judge:
    """Decides one published clip."""

    def __init__(self, request: CurateRequest, now: Mapping[str, Any], order: Sequence[str]) -> None:
        self._now = now
        self._cascade = Cascade(request.rules(), request.score_all, order=order)
        self._per_file = {rule.name(): rule.per_file for rule in self._cascade.filters}

    def __call__(self, row: Row, measured: Mapping[str, Any]) -> Row | None:
        """The clip as judged now, before duplicates are looked for; None if its file has to be scanned."""
        if any(measured.get(part) != self._now.get(part) for part in ("split", "finish")):
            return None
        same = self._same(measured)
        if row["start_s"] is None:
            return self._failed(row, len(same) == len(self._now["filters"]))
        if row["verdict"] == "rejected" and row["filter"] == "split":
            return _clip(row, {}, "split", row["reason"])
        scores, kind = _scores(row), _kind(row)
        verdict = self._cascade.recall(kind, scores, same)
        if verdict is None or self._whole_file(row, kind, verdict.filter, verdict.scores):
            return None
        again = measured.get("caption") != self._now["caption"]
        if row["verdict"] == "error" and verdict.filter is None and not again:
            return {**row, "before": row}  # it would fail again
        steady = measured.get("dedup") == self._now["dedup"]
        more = {"standing": steady and row["verdict"] == "kept", "again": again}
        return {**_clip(row, verdict.scores, verdict.filter, verdict.reason), **more}

    def known(self, row: Row, measured: Mapping[str, Any]) -> Row | None:
        """The clip with those of its scores that hold; None if it may not be a clip any more."""
        if any(measured.get(part) != self._now.get(part) for part in ("split", "finish")):
            return None
        if row["start_s"] is None or self._whole_file(row, _kind(row), None, _scores(row)):
            return None
        scores = self._cascade.known(_scores(row), self._same(measured))
        carried = row["verdict"] == "kept" and measured.get("caption") == self._now["caption"]
        # Kept as far as is known, which is what its signals are needed for.
        return {**_clip(row, scores, None, None), "before": None, "carried": carried}

    def _same(self, measured: Mapping[str, Any]) -> set[str]:
        """Filters that measure as they did."""
        before = measured["filters"]
        return {name for name, how in self._now["filters"].items() if before.get(name) == how}

    def _failed(self, row: Row, same: bool) -> Row | None:
        """A file that did not decode does not now; one that a filter failed on may, if filters changed."""
        return {**row, "before": row} if row["filter"] != "filters" or same else None

    def _whole_file(self, row: Row, kind: Kind, by: str | None, scores: Mapping[str, float]) -> bool:
        """Whether a row stands for a video that was rejected by its header, and now is not."""
        if kind == "image" or row["verdict"] != "rejected" or self._per_file.get(by or "", False):
            return False
        clips = (
            f"{rule.name()}_{one}"
            for rule in self._cascade.filters
            if not rule.per_file
            for one in rule.scores
        )
        return self._per_file.get(row["filter"], True) and not any(name in scores for name in clips)


def _clip(row: Row, scores: Mapping[str, float], by: str | None, reason: str | None) -> Row:
    verdict = {"verdict": "rejected" if by else "kept", "filter": by, "reason": reason, "detail": None}
    return {**row, **verdict, "scores": list(scores.items()), "before": row}


def _kind(row: Row) -> Kind:
    return "image" if "image" in row["task"] else "video"


def _scores(row: Row) -> dict[str, float]:
    return {name: value for name, value in dict(row["scores"] or {}).items() if value is not None}
