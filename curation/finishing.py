"""Captions and bytes for the clips that a plan keeps. A clip that fails here becomes an error row."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import groupby
from typing import Any

from curation import engine
from curation.config import CurateRequest
from curation.cutter import CUT, Cutter, Failure, Take
from curation.events import Emit, Stage
from curation.losses import Losses
from curation.plan import Plan, Row
from curation.staging import Staging

CLIPS_AT_ONCE = 16  # of one file, that one worker finishes in one go


def finish(request: CurateRequest, plan: Plan, staging: Staging, emit: Emit) -> None:
    """Stage what the kept rows of a plan lack. Raises StoppedError if most of them fail."""
    kept = [row for row in plan.new if row["verdict"] == "kept"]
    done = staging.names(CUT)
    left = [row for row in kept if row["sample_id"] not in done]
    stage = Stage("caption", emit, len(kept))
    stage.add(len(kept) - len(left), kept=len(kept) - len(left), reused=len(kept) - len(left))
    losses = Losses(request.shards.max_error_share)
    rows = {row["sample_id"]: row for row in left}
    for finished in engine.each(partial(Cutter, staging, request.caption), list(_takes(left))):
        failures = finished["failures"]
        stage.add(finished["clips"], kept=finished["clips"] - len(failures), errors=len(failures))
        for failure in failures:
            row = rows[failure["sample_id"]]
            _fail(row, failure)
            losses.add("cut", failure["reason"], f"{row['uri']}: {failure['detail']}")
        losses.check({"cut": len(kept)})
    stage.done()


def _takes(rows: list[Row]) -> Iterator[Take]:
    by_file = groupby(rows, key=lambda row: (row["uri"], row["source_sha256"]))  # planned file by file
    for (uri, sha256), clips in by_file:
        ids = [row["sample_id"] for row in clips]
        for start in range(0, len(ids), CLIPS_AT_ONCE):
            yield Take(uri, sha256, ids[start : start + CLIPS_AT_ONCE])


def _fail(row: dict[str, Any], failure: Failure) -> None:
    row |= {"verdict": "error", "filter": "cut", "reason": failure["reason"], "detail": failure["detail"]}
