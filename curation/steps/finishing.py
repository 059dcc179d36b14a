"""Captions and bytes for the clips that a plan keeps. A clip that fails here becomes an error row."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from itertools import groupby
from typing import Any

from curation import engine
from curation.caption import ORIGINAL
from curation.config import CurateRequest
from curation.events import Emit, Stage
from curation.steps.cuts import CUT
from curation.steps.cutter import Cutter, Take
from curation.steps.framing import FRAMES
from curation.steps.losses import Losses
from curation.steps.plan import Plan, Row
from curation.steps.recaption import CAPTION, Recaptioner
from curation.store.rows import GENERATION
from curation.store.staging import Staging

CLIPS_AT_ONCE = 16  # of one file, that one worker finishes in one go
CLIPS_AHEAD = 4  # asked about in one go, for each under way: few then wait for the slowest


def finish(request: CurateRequest, plan: Plan, staging: Staging, emit: Emit) -> None:
    """Stage what the kept rows of a plan lack. Raises StoppedError if most of them fail."""
    _Finishing(request, plan, staging, emit).go()


class _Finishing:
    """Cuts first; then, where a model writes the captions, asks it about what was cut."""

    def __init__(self, request: CurateRequest, plan: Plan, staging: Staging, emit: Emit) -> None:
        self._request = request
        self._config = request.caption
        self._staging = staging
        self._rows = {row["sample_id"]: row for row in plan.new if row["verdict"] == "kept"}
        self._stage = Stage("caption", emit, len(self._rows))
        self._losses = Losses(request.shards.max_error_share)

    def go(self) -> None:
        """Do both; count each clip once, where its caption is settled."""
        for row in self._rows.values():
            if self._config.keep_original and row.get("caption_original"):
                row["captioner"] = ORIGINAL
        self._cut()
        if self._config.asks_a_model:
            self._caption()
        self._stage.done()

    def _cut(self) -> None:
        staged = self._staging.names(CUT)
        left = [row for sample_id, row in self._rows.items() if sample_id not in staged]
        self._count([self._rows[one] for one in self._rows if one in staged], reused=True)
        make = partial(Cutter, self._staging, self._config, self._request.filters)
        for finished in engine.each(make, list(_takes(left))):
            done = [self._rows[one] for one in finished["sample_ids"]]
            self._take("cut", finished["failures"])
            self._count(done, reused=False)

    def _caption(self) -> None:
        waiting = [one for one, row in self._rows.items() if self._waits(row)]
        bound = _bound(self._staging, waiting)
        self._stage.add(len(bound), kept=len(bound), reused=len(bound))
        left = [one for one in waiting if one not in bound]
        pool, at_once = _pool(self._request)
        asked = [left[start : start + at_once] for start in range(0, len(left), at_once)]
        for done in engine.each(partial(Recaptioner, self._staging, self._config), asked, pool):
            failures = self._excused(done["failures"])
            self._take("caption", failures)
            self._stage.add(done["clips"], kept=done["clips"] - len(failures), errors=len(failures))

    def _count(self, rows: Sequence[Row], reused: bool) -> None:
        """Count the clips of which nothing is to come; the others are counted with their captions."""
        failed = sum(row["verdict"] == "error" for row in rows)
        kept = sum(row["verdict"] == "kept" and not self._waits(row) for row in rows)
        self._stage.add(kept + failed, kept=kept, errors=failed, reused=kept if reused else 0)

    def _waits(self, row: Row) -> bool:
        wanted = self._config.asks_a_model and row["task"] in GENERATION
        return wanted and row["verdict"] == "kept" and row.get("captioner") != ORIGINAL

    def _excused(self, failures: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
        """Failures, less those of clips that fall back on the caption that they came with."""
        if self._config.on_failure == "error":
            return list(failures)
        excused = [one for one in failures if self._rows[one["sample_id"]].get("caption_original")]
        for one in excused:
            self._rows[one["sample_id"]]["captioner"] = ORIGINAL
        return [one for one in failures if one not in excused]

    def _take(self, step: str, failures: Sequence[Mapping[str, Any]]) -> None:
        for failure in failures:
            row = self._rows[failure["sample_id"]]
            row |= {"verdict": "error", "filter": step, "captioner": None}
            row |= {"reason": failure["reason"], "detail": failure["detail"]}
            self._losses.add(step, failure["reason"], f"{row['uri']}: {failure['detail']}")
        self._losses.check({step: len(self._rows)})


def _takes(rows: list[Row]) -> Iterator[Take]:
    by_file = groupby(rows, key=lambda row: (row["uri"], row["source_sha256"]))  # planned file by file
    for (uri, sha256), clips in by_file:
        ids = [row["sample_id"] for row in clips]
        for start in range(0, len(ids), CLIPS_AT_ONCE):
            yield Take(uri, sha256, ids[start : start + CLIPS_AT_ONCE])


def _bound(staging: Staging, sample_ids: Sequence[str]) -> set[str]:
    """Of some clips those with a staged caption that was written about the same bytes."""
    staged = staging.names(CAPTION)
    both = [one for one in sample_ids if one in staged]
    hashes = [
        [table["media_sha256"][0].as_py() for table in staging.read(stage, both, ["media_sha256"])]
        for stage in (CAPTION, FRAMES)
    ]
    return {one for one, of_caption, of_clip in zip(both, *hashes, strict=True) if of_caption == of_clip}


def _pool(request: CurateRequest) -> tuple[engine.Pool, int]:
    """Workers for the captioner, and clips asked about in one go.

    An endpoint has one worker, which keeps to the rate for all; a model in process one for each GPU.
    """
    caption = request.caption
    if caption.http and caption.captioner == "http":
        return engine.Pool(workers=1), CLIPS_AHEAD * caption.http.concurrency
    assert caption.transformers is not None
    gpus = caption.transformers.gpus_per_worker
    if gpus is None:
        gpus = 1.0 if request.cluster.get("use_gpu") else 0.0
    workers = caption.transformers.workers or (None if gpus else 1)
    return engine.Pool(workers=workers, gpus=gpus), CLIPS_AHEAD * caption.transformers.batch_size
