"""Finished media, as it is staged until it is published."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from curation.store.staging import Staging

CUT = "cut"  # the stage's name
FINISHED = pa.schema(
    [
        ("sample_id", pa.string()),
        ("media", pa.binary()),
        ("media_format", pa.string()),
        ("edit_source", pa.binary()),
        ("caption", pa.string()),
        ("captioner", pa.string()),
        ("cut_copied", pa.float64()),
        ("cut_hidden", pa.float64()),
    ]
)


def stage_cut(staging: Staging, sample_id: str, finished: dict[str, Any]) -> None:
    """Stage a clip's bytes and the caption that needs no model."""
    row = {"sample_id": sample_id, **finished}
    staging.write(CUT, sample_id, pa.Table.from_pylist([row], schema=FINISHED))
