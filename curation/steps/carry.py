"""Clips that are measured anew and kept again: their media comes from the version before, and is not cut.

Nor is a model asked again about the same bytes.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import pyarrow as pa

from curation import caption
from curation.caption import ORIGINAL, SCORES, CaptionConfig
from curation.dataset import Dataset
from curation.steps import cutter
from curation.steps.cuts import CUT, stage_cut
from curation.steps.cutter import record
from curation.steps.framing import FRAMED, FRAMES, media_hash
from curation.steps.judge import JUDGED
from curation.steps.recaption import CAPTION, CAPTIONED
from curation.store.staging import Staging

Row = dict[str, Any]
_PUBLISHED = ("sample_id", "media", "media_format", "caption", "captioner", "scores")


def carry(
    base: Dataset, staging: Staging, config: CaptionConfig, planned: Sequence[Row], may: Collection[str]
) -> None:
    """Stage what `base` has of planned clips, of those that `may` be carried, as if it had been made now."""
    kept = (row for row in planned if row["verdict"] == "kept" and row["sample_id"] in may)
    staged = staging.names(CUT) if may else {}
    wanted = {row["sample_id"]: row["source_sha256"] for row in kept if row["sample_id"] not in staged}
    if not wanted:
        return
    writer = caption.load(config)
    # One pass over all kept rows: ids are hashes, so no part of the files can be left out.
    for row in base.iter_rows(_PUBLISHED, "verdict = 'kept' AND media IS NOT NULL", batch=16):
        sha256 = wanted.get(row["sample_id"])
        if sha256 is None:
            continue
        if config.asks_a_model and row["captioner"] != ORIGINAL:
            _bind(staging, row)
        text = _described(staging, writer, sha256, row["sample_id"]) if writer else None
        told = {"caption": text, "captioner": writer.name if writer and text is not None else None}
        told |= {"media": row["media"], "media_format": row["media_format"]}
        told |= {name: dict(row["scores"]).get(name) for name in cutter.SCORES}
        stage_cut(staging, row["sample_id"], told)


def _described(staging: Staging, writer: caption.Captioner, sha256: str, sample_id: str) -> str | None:
    (table,) = staging.read(JUDGED, [sha256])
    clips = [clip for clip in map(record, table.to_pylist()) if clip["sample_id"] == sample_id]
    return writer.caption(clips).get(sample_id)


def _bind(staging: Staging, row: Row) -> None:
    """The model's words about these bytes, staged as if it had just said them."""
    told = {name: row[name] for name in ("sample_id", "caption", "captioner")}
    told |= {"media_sha256": media_hash(row["media"])}
    told |= {name: dict(row["scores"]).get(name) for name in SCORES}
    staging.write(CAPTION, row["sample_id"], pa.Table.from_pylist([told], schema=CAPTIONED))
    seen = {"sample_id": row["sample_id"], "media_sha256": told["media_sha256"], "frames": []}
    staging.write(FRAMES, row["sample_id"], pa.Table.from_pylist([seen], schema=FRAMED))
