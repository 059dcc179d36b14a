"""Putting the rows of a plan into data files: what was planned, judged and cut, side by side."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

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
ROWS_AT_ONCE = 32  # that are Python objects; all others of a row group are in Arrow's memory
PLANNED = pa.schema(
    [
        *((name, pa.string()) for name in ("sample_id", "source_sha256", "uri", "source", "licence", "task")),
        *((name, pa.string()) for name in ("verdict", "filter", "reason", "detail")),
        *((name, pa.string()) for name in ("caption_original", "captioner")),
        (DEDUP_SCORE, pa.float64()),
        ("staged", pa.bool_()),
    ]
)
GROUP = "group"  # the column beside these that numbers the row groups
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
            groups = [number for number, some in enumerate(_split(part, group)) for _ in some]
            rows = pa.Table.from_pylist([row for row, _ in part], schema=PLANNED)
            yield rows.append_column(GROUP, pa.array(groups, pa.int32()))


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
        self._last: dict[str, pa.Table] = {}

    def __call__(self, name: str) -> ShardFile:
        """Write the data file whose rows are staged as `name`, which is the attempt's id and a number."""
        (planned,) = self._staging.read(SHARD, [name])
        verdict = planned["verdict"][0].as_py()
        path = shard_path(self._attempt, verdict, name.rpartition("-")[2])
        with ShardWriter(self._staging.dataset, path, verdict) as writer:
            for number in pc.unique(planned[GROUP]):
                group = planned.filter(pc.equal(planned[GROUP], number))
                starts = range(0, len(group), ROWS_AT_ONCE)
                parts = [self._table(group.slice(start, ROWS_AT_ONCE).to_pylist()) for start in starts]
                writer.write(pa.concat_tables(parts))
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
        wanted = pa.array([row["sample_id"] for row in planned], pa.string())
        found: dict[str, dict[str, Any]] = {}
        for table in self._files(dict.fromkeys(row["source_sha256"] for row in planned if row["staged"])):
            rows = table.filter(pc.is_in(table["sample_id"], wanted)).to_pylist()
            found |= {row["sample_id"]: row for row in rows}
        return found

    def _files(self, hashes: Iterable[str]) -> Iterator[pa.Table]:
        """The judged clips of files; the last one stays at hand, since rows of one source stand together."""
        columns = ["sample_id", "scores", "annotation", *_FROM_JUDGED]
        again = [one for one in hashes if one in self._last]
        yield from (self._last[one] for one in again)
        new = [one for one in hashes if one not in again]
        for sha256, table in zip(new, self._staging.read(JUDGED, new, columns), strict=True):
            self._last = {sha256: table}
            yield table

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
