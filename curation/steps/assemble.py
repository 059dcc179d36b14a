"""Putting the rows of a plan into data files: what was planned, judged and cut, side by side."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

import pyarrow as pa

from curation import caption
from curation.caption import ORIGINAL
from curation.dataset import DEDUP_SCORE, VERDICTS, schema
from curation.steps import cutter
from curation.steps.cuts import CUT
from curation.steps.framing import media_hash
from curation.steps.judge import JUDGED
from curation.steps.recaption import CAPTION
from curation.store.shard import ShardFile, ShardWriter, shard_path
from curation.store.staging import Staging

SHARD = "shard"  # the stage's name: which rows go into which data file
LIGHT_BYTES = 6000  # of a row without media: mostly its thumbnail
PLANNED = pa.schema(
    [
        *((name, pa.string()) for name in ("sample_id", "source_sha256", "uri", "source", "licence", "task")),
        *((name, pa.string()) for name in ("verdict", "filter", "reason", "detail")),
        *((name, pa.string()) for name in ("caption_original", "captioner")),
        (DEDUP_SCORE, pa.float64()),
        ("staged", pa.bool_()),
        ("group", pa.int32()),
    ]
)
_PLAIN = dict.fromkeys(PLANNED.names)
_FROM_JUDGED = ("start_s", "end_s", "width", "height", "fps", "num_frames", "fingerprint", "thumbnail")
_FROM_CUT = ("media", "media_format", "edit_source", "caption", "captioner")


def pack(
    planned: Sequence[dict[str, Any]], cut_bytes: Mapping[str, int], target: float, group: float
) -> Iterator[pa.Table]:
    """The rows of each data file, of one verdict: at most `target` bytes a file, `group` bytes a row group.

    A row that is larger than that has a file or a group of its own. Rows of one source stand together.
    """
    for verdict in VERDICTS:
        chosen = [row for row in planned if row["verdict"] == verdict]
        chosen.sort(key=lambda row: (row["source"], row["uri"], row["start_s"] or 0.0, row["sample_id"]))
        sizes = [LIGHT_BYTES + cut_bytes.get(row["sample_id"], 0) for row in chosen]
        for part in _split(list(zip(chosen, sizes, strict=True)), target):
            groups = enumerate(_split(part, group))
            numbered = [_PLAIN | row | {"group": number} for number, some in groups for row, _ in some]
            yield pa.Table.from_pylist(numbered, schema=PLANNED)


def _split(
    sized: Sequence[tuple[dict[str, Any], int]], limit: float
) -> Iterator[list[tuple[dict[str, Any], int]]]:
    part: list[tuple[dict[str, Any], int]] = []
    total = 0
    for row, size in sized:
        if part and total + size > limit:
            yield part
            part, total = [], 0
        part.append((row, size))
        total += size
    if part:
        yield part


class Assembler:
    """Writes the data files whose rows are staged, one after the other."""

    def __init__(
        self,
        staging: Staging,
        attempt: str,
        score_names: Sequence[str],
        lineage: dict[str, str],
        recaptions: bool = False,
    ) -> None:
        self._staging = staging
        self._attempt = attempt
        self._schema = schema(score_names)
        self._lineage = lineage
        self._recaptions = recaptions

    def __call__(self, name: str) -> ShardFile:
        """Write the data file whose rows are staged as `name`, which is the attempt's id and a number."""
        (planned,) = self._staging.read(SHARD, [name])
        rows = planned.to_pylist()
        verdict = rows[0]["verdict"]
        path = shard_path(self._attempt, verdict, name.rpartition("-")[2])
        with ShardWriter(self._staging.dataset, path, verdict) as writer:
            for _, some in groupby(rows, key=lambda row: row["group"]):
                writer.write(self._table(list(some)))
            return writer.finish()

    def _table(self, planned: list[dict[str, Any]]) -> pa.Table:
        judged = self._judged(planned)
        kept = [row for row in planned if row["verdict"] == "kept"]
        cut = self._cut([row["sample_id"] for row in kept])
        for row in kept:
            if row["captioner"] == ORIGINAL:
                cut[row["sample_id"]] |= {"caption": row["caption_original"], "captioner": ORIGINAL}
        if self._recaptions:
            asked = [row["sample_id"] for row in kept if row["captioner"] != ORIGINAL]
            self._bind(cut, asked)
        complete = [
            self._row(row, judged.get(row["sample_id"], {}), cut.get(row["sample_id"], {})) for row in planned
        ]
        return pa.Table.from_pylist(complete, schema=self._schema)

    def _judged(self, planned: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
        files = dict.fromkeys(row["source_sha256"] for row in planned if row["staged"])
        columns = ["sample_id", "scores", "annotation", *_FROM_JUDGED]
        tables = self._staging.read(JUDGED, files, columns)
        return {row["sample_id"]: row for table in tables for row in table.to_pylist()}

    def _cut(self, sample_ids: list[str]) -> dict[str, dict[str, Any]]:
        tables = self._staging.read(CUT, sample_ids)
        return {row["sample_id"]: row for table in tables for row in table.to_pylist()}

    def _bind(self, cut: dict[str, dict[str, Any]], sample_ids: list[str]) -> None:
        """Put each caption beside the clip whose bytes it was written about, and no other."""
        for table in self._staging.read(CAPTION, sample_ids):
            (told,) = table.to_pylist()
            clip = cut[told["sample_id"]]
            if told["media_sha256"] != media_hash(clip["media"]):
                raise RuntimeError(
                    f"the caption staged for {told['sample_id']} is of other bytes; run with --fresh"
                )
            clip |= told

    def _row(self, planned: dict[str, Any], judged: dict[str, Any], cut: dict[str, Any]) -> dict[str, Any]:
        scores = {**dict(judged.get("scores") or []), DEDUP_SCORE: planned[DEDUP_SCORE]}
        scores |= {name: cut[name] for name in (*cutter.SCORES, *caption.SCORES) if name in cut}
        told = json.loads(judged.get("annotation") or "{}")
        return {
            **{name: planned[name] for name in PLANNED.names if name in self._schema.names},
            **told,
            **{name: judged.get(name) for name in _FROM_JUDGED},
            **{name: cut.get(name) for name in _FROM_CUT},
            **self._lineage,
            "scores": scores,
        }
