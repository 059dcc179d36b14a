"""One worker's share of finishing: the caption and the exact bytes of each clip that is kept."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, NamedTuple, TypedDict

from curation import caption
from curation.caption import CaptionConfig
from curation.cascade import margins_of
from curation.errors import MediaError
from curation.filters import parse
from curation.media.child import MediaWorker
from curation.media.records import Finish
from curation.steps.cuts import stage_cut
from curation.steps.fetch import WEB, Fetched, fetched
from curation.steps.framing import stage_frames
from curation.steps.judge import JUDGED
from curation.steps.links import DOWNLOAD, downloaded
from curation.store.rows import TASKS
from curation.store.staging import Staging

Entries = Sequence[str | Mapping[str, Any]]  # filters, as a recipe names them
KINDS = {task: kind for kind, task in TASKS.items()}
# Of kept clips: whether the pictures are the source's own (1) or encoded anew (0); frames with blurred faces.
SCORES = ("cut_copied", "cut_hidden")


class Take(NamedTuple):
    """Some kept clips of one file."""

    uri: str
    sha256: str
    sample_ids: list[str]


class Failure(TypedDict):
    """A clip that could not be finished."""

    sample_id: str
    reason: str
    detail: str


class Finished(TypedDict):
    """What became of a take."""

    sample_ids: list[str]
    failures: list[Failure]


class Cutter:
    """Captions and cuts the clips of one file after the other; each clip is staged once it is finished."""

    def __init__(self, staging: Staging, config: CaptionConfig, filters: Entries = ()) -> None:
        self._staging = staging
        self._config = config
        self._captioner = caption.load(config)
        self._rules = parse(filters)
        self._worker = MediaWorker()
        self._worker.prepare()

    def __call__(self, take: Take) -> Finished:
        """Finish the clips of a take."""
        take = Take(*take)  # a list, where it came as JSON
        try:
            with self._open(take) as file:
                failures = self._finish(take, file)
        except MediaError as error:
            failures = [_failure(one, error) for one in take.sample_ids]
        return {"sample_ids": take.sample_ids, "failures": failures}

    def _open(self, take: Take) -> AbstractContextManager[Fetched]:
        """A file, downloaded already if it came from the web for a dataset."""
        if take.uri.startswith(WEB) and self._staging.has(DOWNLOAD, take.sha256):
            return downloaded(self._staging, take.sha256)
        return fetched(take.uri)

    def _finish(self, take: Take, file: Fetched) -> list[Failure]:
        if file.sha256 != take.sha256:
            detail = "the file is not the one that was judged"
            return [{"sample_id": one, "reason": "changed", "detail": detail} for one in take.sample_ids]
        (table,) = self._staging.read(JUDGED, [take.sha256])
        wanted = set(take.sample_ids)
        clips = [clip for clip in map(record, table.to_pylist()) if clip["sample_id"] in wanted]
        texts = self._captioner.caption(clips) if self._captioner else {}
        failures = []
        for clip in clips:
            try:
                self._stage(clip, file, texts.get(clip["sample_id"]))
            except MediaError as error:
                failures.append(_failure(clip["sample_id"], error))
        return failures

    def _pictures(self, clip: Mapping[str, Any]) -> Finish:
        """What this recipe does to a clip's pictures."""
        margins = margins_of(self._rules, clip["kind"], clip["scores"])
        return Finish(margins, any(rule.hides_faces for rule in self._rules))

    def _stage(self, clip: dict[str, Any], file: Fetched, text: str | None) -> None:
        span = (clip["kind"], clip["start_s"], clip["end_s"], clip["num_frames"])
        cut = self._worker.cut(file.path, *span, self._pictures(clip))
        if self._config.asks_a_model:  # before the bytes: who finds those finds the frames, too
            stage_frames(self._staging, self._worker, self._config, clip, cut.data)
        row = {
            "media": cut.data,
            "media_format": cut.media_format,
            "cut_copied": float(cut.copied),
            "cut_hidden": cut.hidden,
            "caption": text,
            "captioner": self._captioner.name if self._captioner and text is not None else None,
        }
        stage_cut(self._staging, clip["sample_id"], row)


def record(row: dict[str, Any]) -> dict[str, Any]:
    """A staged row as the clip record that it came from."""
    return row | {
        "kind": KINDS.get(row["task"]),
        "scores": dict(row["scores"] or []),
        "signals": json.loads(row["signals"] or "{}"),
    }


def _failure(sample_id: str, error: MediaError) -> Failure:
    return {"sample_id": sample_id, "reason": error.slug, "detail": error.message}
