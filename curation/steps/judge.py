"""One worker's share of judging: read a file, hash it, and judge its clips unless that has been done."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import replace
from typing import Any, TypedDict

import pyarrow as pa

from curation.edits import EditsConfig
from curation.errors import MediaError
from curation.media.child import MediaWorker
from curation.media.records import ScanRequest, ScanResult, Span, span_of
from curation.sources import REPEATED, Item
from curation.sources.members import parse_record
from curation.steps.annotated import Annotated
from curation.steps.fetch import WEB, Fetched, fetched
from curation.steps.links import Links
from curation.steps.restage import DECIDED, MEASURED
from curation.store import rows
from curation.store.staging import Staging

PROBLEMS = {
    "outside_root": "a link that leaves its folder is not read",
    "bad_name": "a file whose name is not UTF-8 is not read",
    "no_file": "what is no regular file is not read",
}
JUDGED = "judged"  # the stage's name
PART = "part"  # the stage with clips of files that are not judged to their end
KNOWN = "known"  # the stage with the hashes of files that need no decoding
VERDICT = ("verdict", "filter", "reason", "detail")  # columns
STEPS = {"missing": "sources", "filter_failed": "filters"}  # slug -> the step that failed; others: decode


class Outcome(TypedDict):
    """What became of one input. Small and plain: it travels to the driver."""

    uri: str
    sha256: str | None  # None: it could not be read
    state: str  # "published", "staged" (by an earlier run), "judged" (now), "failed" (not read) or "repeated"
    kept: int  # clips
    rejected: int
    errors: int
    step: str | None  # of an error, as its slug and its message
    reason: str | None
    detail: str | None  # of what is repeated, the file that it repeats


class Judge:
    """Judges one file after the other in a child process; its results lie in the staging, by the file's hash.

    `known` names the staged table of the files that need no decoding.
    """

    def __init__(
        self, staging: Staging, request: str, known: str | None = None, edits: EditsConfig | None = None
    ) -> None:
        self._worker = MediaWorker()
        self._worker.prepare()
        self._staging = staging
        self._request = ScanRequest.from_json(request)
        self._published = _hashes(staging, known) if known else frozenset()
        self._beside = {stage: _by_file(staging, stage) for stage in (DECIDED, MEASURED, PART)}
        self._links = Links(staging, known)
        self._annotated = Annotated(staging, self._worker, edits or EditsConfig())

    def __call__(self, item: Item) -> Outcome:
        """Judge one input. Raises InputError if the recipe, not the file, is at fault."""
        item = Item(*item)  # a list, where it came as JSON
        if item.problem == REPEATED:
            return _repeats(item.uri, str(item.detail))
        if item.problem:
            return _failed(item.uri, item.problem, item.detail or PROBLEMS[item.problem])
        try:
            if parse_record(item.uri):
                return self._record(item)
            if item.reader and item.uri.startswith(WEB):
                return self._link(item, item.reader[2])
            with fetched(item.uri) as file:
                return self._judge(item.uri, file)
        except MediaError as error:
            return _failed(item.uri, error.slug, error.message)

    def _judge(self, uri: str, file: Fetched) -> Outcome:
        if file.sha256 in self._published:
            return outcome_of(uri, file.sha256, "published", [])
        if self._staging.has(JUDGED, file.sha256):
            return self._staged(uri, file.sha256)
        found = self._scan(uri, file)
        self._staging.write(JUDGED, file.sha256, found)
        self._forget(file.sha256)
        return _of_table(uri, file.sha256, "judged", found)

    def _record(self, item: Item) -> Outcome:
        """Judge a dataset's record. Raises MediaError if it cannot be read, or its media is not there."""
        with ExitStack() as stack:
            record = self._annotated.open(item, stack)
            if record.content in self._published:
                return outcome_of(item.uri, record.content, "published", [])
            if self._staging.has(JUDGED, record.content):
                return self._staged(item.uri, record.content)
            found = self._annotated.judge(record)
            self._staging.write(JUDGED, record.content, found)
        return _of_table(item.uri, record.content, "judged", found)

    def _link(self, item: Item, downloads: str) -> Outcome:
        """Judge what a dataset has the address of. Raises MediaError if it cannot be had."""
        if (sha256 := self._links.published(item.uri)) in self._published:
            return outcome_of(item.uri, sha256, "published", [])
        if (sha256 := self._links.staged(item.uri)) and self._staging.has(JUDGED, sha256):
            return self._staged(item.uri, sha256)
        with fetched(item.uri, downloads) as file:
            outcome = self._judge(item.uri, file)
            self._links.keep(item.uri, file, bool(outcome["kept"]))
            return outcome

    def _staged(self, uri: str, sha256: str) -> Outcome:
        (table,) = self._staging.read(JUDGED, [sha256], VERDICT)
        return _of_table(uri, sha256, "staged", table)

    def _scan(self, uri: str, file: Fetched) -> pa.Table:
        """All clips of a file.

        Those that are decided, or were judged before a kill, are not judged again; of those with scores that
        still hold only the others are measured.
        """
        done = self._rows(DECIDED, file.sha256) + self._rows(PART, file.sha256)
        measured = {span_of(row): row for row in self._rows(MEASURED, file.sha256)}
        skip = frozenset(map(span_of, done))
        known = {span: dict(row["scores"] or []) for span, row in measured.items() if span not in skip}
        try:
            found = self._worker.scan(
                file.path, replace(self._request, skip=skip, known=known), self._keep(file, measured)
            )
            if known and {span_of(clip) for clip in found.clips} != set(known):  # no longer split that way
                self._forget(file.sha256)
                done, found = [], self._worker.scan(file.path, self._request)
        except MediaError as error:
            step = STEPS.get(error.slug, "decode")
            message = error.message.replace(str(file.path), uri)  # of a copy that is gone by now
            return rows.failed(file.sha256, step, error.slug, message)
        if not done:
            return rows.judged(file.sha256, found, measured)
        new = rows.judged(file.sha256, found, measured).to_pylist() if found.clips else []
        unique = {row["sample_id"]: row for row in [*done, *new]}  # a part may have been staged twice
        return rows.table(sorted(unique.values(), key=lambda row: row["start_s"] or 0.0))

    def _forget(self, sha256: str) -> None:
        self._staging.remove(PART, self._beside[PART].pop(sha256, []))

    def _rows(self, stage: str, sha256: str) -> list[dict[str, Any]]:
        tables = self._staging.read(stage, self._beside[stage].get(sha256, ()))
        return [row for table in tables for row in table.to_pylist()]

    def _keep(
        self, file: Fetched, measured: Mapping[Span, Mapping[str, Any]]
    ) -> Callable[[ScanResult], None]:
        """Stages what a long scan has judged so far."""
        names = self._beside[PART].setdefault(file.sha256, [])

        def keep(part: ScanResult) -> None:
            clips = [clip for clip in part.clips if clip["thumbnail"] or span_of(clip) in measured]
            if clips:
                names.append(f"{file.sha256}-{len(names):05d}")
                found = rows.judged(file.sha256, replace(part, clips=clips), measured)
                self._staging.write(PART, names[-1], found)

        return keep


def _failed(uri: str, reason: str, detail: str) -> Outcome:
    row = {"verdict": "error", "filter": "sources", "reason": reason, "detail": detail}
    return outcome_of(uri, None, "failed", [row])


def _repeats(uri: str, original: str) -> Outcome:
    found = outcome_of(uri, None, "repeated", [])
    found["detail"] = original
    return found


def _of_table(uri: str, sha256: str, state: str, clips: pa.Table) -> Outcome:
    return outcome_of(uri, sha256, state, clips.select(VERDICT).to_pylist())


def outcome_of(uri: str, sha256: str | None, state: str, clips: list[dict[str, Any]]) -> Outcome:
    """What became of an input whose clips, or whose error, have these verdicts."""
    counts = Counter(clip["verdict"] for clip in clips)
    error = next((clip for clip in clips if clip["verdict"] == "error"), {})
    return {
        "uri": uri,
        "sha256": sha256,
        "state": state,
        "kept": counts["kept"],
        "rejected": counts["rejected"],
        "errors": counts["error"],
        "step": error.get("filter"),
        "reason": error.get("reason"),
        "detail": error.get("detail"),
    }


def _by_file(staging: Staging, stage: str) -> dict[str, list[str]]:
    """Names of a stage's tables by the hash of their file, with which they begin."""
    found: dict[str, list[str]] = {}
    for name in sorted(staging.names(stage)):
        found.setdefault(name.partition("-")[0], []).append(name)
    return found


def _hashes(staging: Staging, known: str) -> frozenset[str]:
    (table,) = staging.read(KNOWN, [known])
    return frozenset(table["source_sha256"].to_pylist())
