"""Clips that were decided anew, staged as if they had been judged now: what follows finds them all alike."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from curation.dataset import Dataset
from curation.store.rows import JUDGED
from curation.store.staging import Staging

Row = dict[str, Any]
DECIDED = "decided"  # the stage with the decided clips of files that have others, too
MEASURED = "measured"  # the stage with the clips of files of which some scores hold, and some are missing
FILES_AT_ONCE = 200  # whose thumbnails are in memory
_BESIDE = ("sample_id", "fps", "num_frames", "thumbnail")  # published, and not read for planning


def restage(base: Dataset, staging: Staging, stage: str, files: Mapping[str, Sequence[Row]]) -> None:
    """Stage the clips of `files` (by the file's hash), a table a file, with what `base` holds beside them."""
    hashes = sorted(files)
    for start in range(0, len(hashes), FILES_AT_ONCE):
        some = hashes[start : start + FILES_AT_ONCE]
        listed = ", ".join(f"'{one}'" for one in some)
        found = base.iter_rows(_BESIDE, f"source_sha256 IN ({listed})")
        beside = {row["sample_id"]: row for row in found}
        for sha256 in some:
            whole = [_judged(row | beside[row["sample_id"]]) for row in files[sha256]]
            staging.write(stage, sha256, pa.Table.from_pylist(whole, schema=JUDGED))


def _judged(row: Row) -> Row:
    scores = {name: value for name, value in dict(row["scores"] or {}).items() if value is not None}
    return {**row, "scores": list(scores.items()), "signals": json.dumps(_signals(row), sort_keys=True)}


def _signals(row: Row) -> dict[str, Any]:
    """Measured on the published thumbnail, since they are not published themselves."""
    if row["verdict"] != "kept" or not row["thumbnail"]:
        return {}
    from curation.media.signals import measure
    from curation.media.thumbnail import apart

    return measure(apart(row["thumbnail"], row["width"], row["height"]))
