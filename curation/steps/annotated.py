"""Records of datasets that bring their own text: understanding keeps its conversation, an edit its pair.

Their media is staged as it was released, whole: no filter judges it, nothing is cut. What a row is known
by, its `source_sha256`, is of all that it says: the bytes of its media and its text, since one picture may
be asked about in many records.
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from curation.edits import FILTER, EditsConfig
from curation.errors import MediaError
from curation.media.child import MediaWorker
from curation.media.records import ClipRecord, ScanRequest
from curation.sources import Item
from curation.sources.records import Loader, Sample
from curation.split import SplitConfig
from curation.steps.cuts import stage_cut
from curation.steps.fetch import Fetched, fetched
from curation.store import rows
from curation.store.staging import Staging

ANNOTATION = "annotation"  # who rejects a whole record that is of no use
WHOLE = ScanRequest(SplitConfig(method="none", min_seconds=0.0, max_seconds=120.0))
SEVERAL = (
    "tar"  # the format of media that is several pictures: 0.jpeg, 1.png, ... in the order of placeholders
)


@dataclass(frozen=True)
class Record:
    """A record with its media at hand."""

    sample: Sample
    files: Sequence[Fetched]

    @property
    def content(self) -> str:
        """The hash of all that it says."""
        told = [self.sample.task, [file.sha256 for file in self.files], self.sample.conversation]
        text = json.dumps([*told, self.sample.instruction, self.sample.caption])
        return hashlib.sha256(text.encode()).hexdigest()


class Annotated:
    """Judges records for one worker, one after the other."""

    def __init__(self, staging: Staging, worker: MediaWorker, edits: EditsConfig) -> None:
        self._staging = staging
        self._worker = worker
        self._edits = edits
        self._loader = Loader()

    def open(self, item: Item, stack: ExitStack) -> Record:
        """A record with its media, there until `stack` is closed. Raises MediaError for what is not there."""
        sample = self._loader.load(item)
        places = [] if sample.refused else [self._loader.find(item, ref) for ref in sample.media]
        downloads = item.reader[2] if item.reader else None
        return Record(sample, [stack.enter_context(fetched(place, downloads)) for place in places])

    def judge(self, record: Record) -> pa.Table:
        """The one row of a record; the media of one that is kept is staged, too."""
        sample = record.sample
        if sample.refused:
            return rows.table([_row(record, None, ANNOTATION, sample.refused)])
        try:
            return self._judge(record)
        except MediaError as error:
            detail = error.message
            for file in record.files:
                detail = detail.replace(str(file.path), "its media")
            return rows.failed(record.content, "decode", error.slug, detail)

    def _judge(self, record: Record) -> pa.Table:
        sample, files = record.sample, record.files
        clips = [self._scan(file, sample.task) for file in files]
        if sample.instruction is None:
            row = _row(record, clips[0])
        else:
            told = self._worker.compare(files[0].path, files[1].path)
            reason = self._edits.decide(sample.instruction, told)
            row = _row(record, clips[1], FILTER if reason else None, reason, told)
        if row["verdict"] == "kept":
            stage_cut(self._staging, row["sample_id"], _media(record))
        return rows.table([row])

    def _scan(self, file: Fetched, task: str) -> ClipRecord:
        """A whole file as one clip. Raises MediaError if it does not decode, or is not of its task's kind."""
        found = self._worker.scan(file.path, WHOLE)
        if not found.clips:
            raise MediaError("empty", "no frame in the file")
        if not task.startswith(found.kind):
            raise MediaError("wrong_kind", f"{found.kind} where {task} has {task.partition('_')[0]}")
        first, last = found.clips[0], found.clips[-1]
        frames = sum(clip["num_frames"] for clip in found.clips)
        return {**first, "end_s": last["end_s"], "num_frames": frames}


def _row(
    record: Record,
    clip: Mapping[str, Any] | None,
    by: str | None = None,
    reason: str | None = None,
    told: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    sample, content = record.sample, record.content
    names = ("start_s", "end_s", "width", "height", "fps", "num_frames", "fingerprint", "thumbnail")
    span = rows.span(clip["start_s"], clip["end_s"]) if clip else "record"
    scores = {
        f"{FILTER}_{name}": told[name] for name in ("changed_share", "structure") if told and name in told
    }
    return {
        **({name: clip[name] for name in names} if clip else {}),
        "sample_id": rows.sample_id(content, span, sample.task),
        "source_sha256": content,
        "task": sample.task,
        "verdict": "rejected" if by else "kept",
        "filter": by,
        "reason": reason,
        "scores": list(scores.items()),
        "signals": "{}",
        "annotation": json.dumps(_told(sample)),
    }


def _told(sample: Sample) -> dict[str, Any]:
    """A record's text, by column."""
    turns = [turn._asdict() for turn in sample.conversation] or None
    return {
        "conversation": turns,
        "instruction": sample.instruction,
        "caption_original": sample.caption,
    }


def _media(record: Record) -> dict[str, Any]:
    """A record's media as it is staged: one file as it is, of an edit the target beside the source."""
    files = record.files
    if record.sample.instruction is not None:
        shown = {"media": files[1].path.read_bytes(), "edit_source": files[0].path.read_bytes()}
    else:
        shown = {"media": files[0].path.read_bytes() if len(files) == 1 else _together(files)}
    several = len(files) > 1 and record.sample.instruction is None
    first = shown["media"]
    return {**shown, "media_format": SEVERAL if several else format_of(first), "cut_copied": 1.0}


def _together(files: Sequence[Fetched]) -> bytes:
    """Several pictures in one tar, the same bytes for the same pictures."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as shard:
        for number, file in enumerate(files):
            data = file.path.read_bytes()
            entry = tarfile.TarInfo(f"{number}.{format_of(data)}")
            entry.size = len(data)
            shard.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()


_MARKS = {
    b"\x89PNG": "png",
    b"\xff\xd8\xff": "jpeg",
    b"GIF8": "gif",
    b"BM": "bmp",
    b"II*\0": "tiff",
    b"MM\0*": "tiff",
    b"\x1aE\xdf\xa3": "webm",
    b"FLV": "flv",
    b"OggS": "ogg",
}


def format_of(data: bytes) -> str:
    """The format of a file that has been decoded, by its first bytes."""
    if data[:4] == b"RIFF":
        return "webp" if data[8:12] == b"WEBP" else "avi"
    if data[4:8] == b"ftyp" and data[8:12] in (b"avif", b"avis"):
        return "avif"
    return next((name for mark, name in _MARKS.items() if data.startswith(mark)), "mp4")
