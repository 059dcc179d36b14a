"""The world of shapes that `omnivideo shapes` writes: its questions and edits.

`records.jsonl` has a line each of {task, image or video, conversations}, as LLaVA's instruction data has
them, or of {task, source, target, instruction}; paths are relative to the folder. What is to be generated
stands in generation.jsonl, a manifest.
"""

from __future__ import annotations

from curation.sources.datasets._chat import chat
from curation.sources.datasets._edits import edit
from curation.sources.datasets._sample import Reader, Record, Sample

_IMAGES = edit("image_edit", ("source",), ("target",), ("instruction",))
_VIDEOS = edit("video_edit", ("source",), ("target",), ("instruction",))


def read(record: Record) -> Sample:
    """A conversation or an edit. Raises RecordError."""
    if "instruction" not in record:
        return chat(record)
    return _VIDEOS(record) if record.get("task") == "video_edit" else _IMAGES(record)


READER = Reader(
    task="image_understanding",  # and, in the same file, three others: each record says its own
    annotations=("records.jsonl",),
    licence="CC0-1.0",
    read=read,
)
