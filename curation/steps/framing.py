"""What a captioner gets to see of a clip: staged frames, bound to the hash of the clip's bytes."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from curation.caption import CaptionConfig
from curation.media.child import MediaWorker
from curation.media.windows import Windows
from curation.store.staging import Staging

FRAMES = "frames"  # the stage's name
FRAMED = pa.schema(  # one row a window
    [
        ("sample_id", pa.string()),
        ("media_sha256", pa.string()),
        ("kind", pa.string()),
        ("seconds", pa.float64()),
        ("start_s", pa.float64()),
        ("end_s", pa.float64()),
        ("frames", pa.list_(pa.binary())),
        ("seen_text", pa.string()),
    ]
)
TEXT_BOXES = "text_overlay_text_boxes"  # no box found: nothing to read


def media_hash(media: bytes) -> str:
    """What binds a caption to its clip: the SHA-256 of the clip's bytes."""
    return hashlib.sha256(media).hexdigest()


def stage_frames(
    staging: Staging, worker: MediaWorker, config: CaptionConfig, clip: Mapping[str, Any], media: bytes
) -> None:
    """Take frames from the very bytes that will be published, and stage them. Raises MediaError."""
    seconds = clip["end_s"] - clip["start_s"]
    may_read = clip["scores"].get(TEXT_BOXES) != 0
    wanted = Windows(
        kind=clip["kind"],
        seconds=seconds,
        read_text=config.checks.read_text and may_read,
        **config.frames.model_dump(),
    )
    with tempfile.NamedTemporaryFile(prefix="omnivideo-") as file:
        file.write(media)
        file.flush()
        windows, seen_text = worker.windows(file.name, wanted)
    plain = {"sample_id": clip["sample_id"], "media_sha256": media_hash(media), "kind": clip["kind"]}
    rows = [
        {**plain, "seconds": seconds, "seen_text": seen_text}
        | {"start_s": one.start_s, "end_s": one.end_s, "frames": one.frames}
        for one in windows
    ]
    staging.write(FRAMES, clip["sample_id"], pa.Table.from_pylist(rows, schema=FRAMED))
