"""Data files out of staged rows: every row once, groups of a bounded size, few rows in memory as objects."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curation.steps.assemble import GROUP, LIGHT_BYTES, ROWS_AT_ONCE, SHARD, Assembler, pack
from curation.steps.judge import JUDGED
from curation.store import rows
from curation.store.staging import Staging

LINEAGE = {"run_id": "run", "recipe_sha256": "recipe"}


def judged(sha256: str, clips: int) -> list[dict[str, Any]]:
    """The rejected clips of a film, a second each, whose scores tell them apart."""
    return [
        {
            "sample_id": rows.sample_id(sha256, f"{n}-{n + 1}", "text_to_video"),
            "source_sha256": sha256,
            "task": "text_to_video",
            "start_s": float(n),
            "end_s": n + 1.0,
            "verdict": "rejected",
            "filter": "motion",
            "reason": "still",
            "scores": [("motion_mean_flow", n + 0.5)],
            "thumbnail": bytes([n % 256]),
        }
        for n in range(clips)
    ]


def planned(clips: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Clips as a plan has them."""
    return [{**clip, "uri": clip["source_sha256"], "source": "films", "staged": True} for clip in clips]


@given(
    clips=st.lists(st.tuples(st.sampled_from("kr"), st.integers(0, 3 * LIGHT_BYTES)), max_size=30),
    target=st.integers(1, 9),
    group=st.integers(1, 4),
)
def test_each_row_is_packed_once_within_the_limits(
    clips: list[tuple[str, int]], target: int, group: int
) -> None:
    """Files and groups keep to their sizes but for single larger rows, and hold every row once."""
    verdicts = {"k": "kept", "r": "rejected"}
    plain = {"source": "s", "uri": "u", "start_s": 0.0}
    plan = [{**plain, "sample_id": f"{n:02d}", "verdict": verdicts[v]} for n, (v, _) in enumerate(clips)]
    sizes = {f"{n:02d}": size for n, (_, size) in enumerate(clips)}
    files = [table.to_pylist() for table in pack(plan, sizes, target * LIGHT_BYTES, group * LIGHT_BYTES)]
    assert sorted(row["sample_id"] for file in files for row in file) == sorted(sizes)
    for file in files:
        assert len({row["verdict"] for row in file}) == 1
        groups: dict[int, list[int]] = {}
        for row in file:
            groups.setdefault(row[GROUP], []).append(LIGHT_BYTES + sizes[row["sample_id"]])
        whole = [size for some in groups.values() for size in some]
        for limit, parts in ((target, [whole]), (group, [*groups.values()])):
            assert all(len(part) == 1 or sum(part) <= limit * LIGHT_BYTES for part in parts)


def test_a_row_group_is_gathered_few_rows_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A group of hundreds of rows is one group of the file, whole and in order, and never a list of dicts."""
    staging = Staging(str(tmp_path), "recipe")
    films = [judged("a" * 64, 3 * ROWS_AT_ONCE + 5), judged("b" * 64, 7)]
    for clips in films:
        staging.write(JUDGED, clips[0]["source_sha256"], rows.table(clips))
    clips = [clip for film in films for clip in film]
    (table,) = pack(planned(clips), {}, 1e9, 1e9)
    staging.write(SHARD, "run-00000", table)
    at_once: list[int] = []

    class Counting(Assembler):
        def _table(self, planned: list[dict[str, Any]]) -> Any:
            at_once.append(len(planned))
            return super()._table(planned)

    shard = Counting(staging, "run", ["motion_mean_flow"], LINEAGE)("run-00000")
    file = pq.ParquetFile(tmp_path / shard.path)
    assert file.num_row_groups == 1
    assert max(at_once) == ROWS_AT_ONCE
    found = file.read().to_pylist()
    assert [row["sample_id"] for row in found] == [clip["sample_id"] for clip in clips]
    assert [row["scores"]["motion_mean_flow"] for row in found] == [
        dict(c["scores"]).popitem()[1] for c in clips
    ]
    assert [row["thumbnail"] for row in found] == [clip["thumbnail"] for clip in clips]
