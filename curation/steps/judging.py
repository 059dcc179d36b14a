"""Judging all inputs of a run: the workers' outcomes, counted and told as they come."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

from curation import engine
from curation.config import CurateRequest
from curation.events import Emit, Stage
from curation.media.records import ScanRequest
from curation.sources import Item
from curation.steps.judge import JUDGED, Judge, Outcome, outcome_of
from curation.steps.losses import Losses, StoppedError
from curation.store.staging import Staging

GPU_SHARE = 0.125


def judge_all(
    request: CurateRequest,
    items: Sequence[Item],
    staging: Staging,
    known: str | None,
    settled: Mapping[str, str],
    order: Sequence[str],
    emit: Emit,
) -> dict[str, Outcome]:
    """The outcome of each input, by its uri; `known` names the staged hashes of files that need no decoding.

    Of `settled` inputs the hash is known, and is one of these: nobody reads them. Filters judge in `order`.

    Raises StoppedError if most of them fail.
    """
    scan = ScanRequest(request.split, request.rules(), request.score_all, order=tuple(order))
    make = partial(Judge, staging, scan.to_json(), known, request.edits)
    tally = _Tally(items, request.shards.max_error_share, emit)
    to_read = (item for item in items if item.uri not in settled)
    largest_first = sorted(to_read, key=lambda item: -item.size)  # or one long film is left at the end
    try:
        for uri, sha256 in settled.items():
            tally.add(outcome_of(uri, sha256, "published", []))
        for outcome in engine.each(make, largest_first, _pool(request)):
            tally.add(outcome)
        tally.done()
    except StoppedError:
        # Whatever is at fault will be mended: these files are to be tried again then.
        staging.remove(JUDGED, tally.failed)
        raise
    return tally.outcomes


def _pool(request: CurateRequest) -> engine.Pool:
    """A worker a core; where a large model takes part and the cluster has GPUs, eight to a GPU.

    Each worker holds the model, which for CLIP ViT-L/14 is 2 GB of a GPU's memory with all around it.
    """
    apart = any(rule.apart for rule in request.rules())
    return engine.Pool(gpus=GPU_SHARE) if apart and request.cluster.get("use_gpu") else engine.PLAIN


class _Tally:
    """Counts outcomes for the events and for what each step may lose."""

    def __init__(self, items: Sequence[Item], max_share: float, emit: Emit) -> None:
        self.outcomes: dict[str, Outcome] = {}
        self.failed: set[str] = set()  # hashes of files that could not be judged
        self._files: set[str] = set()  # hashes of files that were
        self._losses = Losses(max_share)
        self._inputs = len(items)
        self._sources = Stage("sources", emit, len(items))
        self._split = Stage("split", emit)
        self._filters = Stage("filters", emit)

    def add(self, outcome: Outcome) -> None:
        """Count one."""
        self.outcomes[outcome["uri"]] = outcome
        unread = outcome["sha256"] is None
        again, known = (outcome["state"] == state for state in ("repeated", "published"))
        self._sources.add(1, kept=not unread, rejected=again, errors=unread and not again, reused=known)
        new = not unread and outcome["state"] != "published" and outcome["sha256"] not in self._files
        if new:
            self._count_file(outcome)
        if outcome["step"] and (unread or new):
            example = f"{outcome['uri']}: {outcome['detail']}"
            self._losses.add(outcome["step"], str(outcome["reason"]), example)
            self._check(self._inputs)  # certain by now, however many files are still to come

    def done(self) -> None:
        """Tell the final counts and check every step."""
        for stage in (self._sources, self._split, self._filters):
            stage.done()
        self._check(len(self._files))

    def _count_file(self, outcome: Outcome) -> None:
        sha256 = str(outcome["sha256"])
        self._files.add(sha256)
        if outcome["errors"]:
            self.failed.add(sha256)
        clips = outcome["kept"] + outcome["rejected"]
        again = outcome["state"] == "staged"
        self._split.add(1, kept=clips, errors=outcome["errors"], reused=again)
        self._filters.add(
            clips, kept=outcome["kept"], rejected=outcome["rejected"], reused=clips if again else 0
        )

    def _check(self, files: int) -> None:
        self._losses.check({"sources": self._inputs, "decode": files, "filters": files})
