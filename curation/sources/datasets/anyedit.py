"""AnyEdit: 2.5 million edits of images, of 25 kinds.

Released (huggingface.co/datasets/Bin1117/AnyEdit): `data/train-*.parquet` with the images `image_file`, the
source, and `edited_file`, the target, and edit_instruction (in the JSON of the project: `edit`),
edited_object, input, output, edit_type, visual_input. `output` is the caption of the target. Edits that
show a second picture (`visual_input`) say "[v*]" for it and are rejected: an instruction here is text.
"""

from __future__ import annotations

from dataclasses import replace

from curation.sources.datasets._edits import edit
from curation.sources.datasets._sample import Reader, Record, Sample

_read = edit(
    "image_edit", ("image_file",), ("edited_file",), ("edit_instruction", "edit", "instruction"), ("output",)
)


def read(record: Record) -> Sample:
    """An edit. Raises RecordError."""
    sample = _read(record)
    return replace(sample, refused="visual_input") if "[v*]" in (sample.instruction or "") else sample


READER = Reader(
    task="image_edit",
    annotations=("data/*.parquet", "*.parquet", "*/*.parquet", "*.json"),
    licence="CC-BY-4.0",
    read=read,
    folders=("", "anyedit_datasets"),
)
