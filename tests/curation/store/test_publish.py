"""Publishing versions and reading them back, with synthetic rows."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curation.dataset import VERDICTS, open_dataset, schema
from curation.errors import InputError
from curation.store.publish import Change, ConflictError, check_output, discard, existing, publish
from curation.store.shard import ShardWriter

from ..published_rows import a_row, ids, publish_rows, write


def test_first_version_reads_back_without_media(tmp_path: Path) -> None:
    """A table read without naming columns has all of them but the bytes of media."""
    dataset = publish_rows(str(tmp_path), [a_row("a", 1, motion_flow=2.0)], ["motion_flow"])
    (row,) = dataset.table().to_pylist()
    assert "media" not in row
    assert row["scores"] == {"dedup_hamming": None, "motion_flow": 2.0}
    assert dataset.table(["media"])["media"].to_pylist() == [b"m" * 1000]


def test_lineage_comes_back_as_it_went_in(tmp_path: Path) -> None:
    """What a commit was told of recipe, run and funnel is the metadata of its version, and only of it."""
    publish_rows(str(tmp_path), [a_row("a", 1)], [], run_id="r1", recipe={"split": {"max_seconds": 3}})
    publish_rows(str(tmp_path), [a_row("b", 1)], [], run_id="r2", funnel={"clips": 1})
    first, second = open_dataset(str(tmp_path), 0), open_dataset(str(tmp_path))
    assert first.metadata == {"run_id": "r1", "recipe": {"split": {"max_seconds": 3}}}
    assert second.metadata == {"run_id": "r2", "funnel": {"clips": 1}}
    assert [commit["version"] for commit in second.history()] == [1, 0]


def test_new_filter_adds_a_score_that_old_rows_lack(tmp_path: Path) -> None:
    """Rows from before and after a filter was added read together, with deltalake and with DuckDB."""
    publish_rows(str(tmp_path), [a_row("a", 1, motion_flow=1.0)], ["motion_flow"])
    names = ["motion_flow", "zoo_animals"]
    dataset = publish_rows(str(tmp_path), [a_row("b", 1, motion_flow=2.0, zoo_animals=7.0)], names)
    scores = [row["scores"] for row in dataset.table(["sample_id", "scores"]).to_pylist()]
    assert scores == [
        {"dedup_hamming": None, "motion_flow": 1.0, "zoo_animals": None},
        {"dedup_hamming": None, "motion_flow": 2.0, "zoo_animals": 7.0},
    ]
    rows = dataset.arrow()  # noqa: F841 - DuckDB finds it by name
    query = "select sample_id, scores.zoo_animals from rows order by 1"
    assert duckdb.sql(query).fetchall() == [("a-1", None), ("b-1", 7.0)]
    files = f"read_parquet('{tmp_path}/*/*.parquet', union_by_name=true, hive_partitioning=true)"
    raw = duckdb.sql(f"select sample_id, verdict, scores.zoo_animals from {files} order by 1").fetchall()
    assert raw == [("a-1", "kept", None), ("b-1", "kept", 7.0)]
    assert open_dataset(str(tmp_path), 0).score_names == ["dedup_hamming", "motion_flow"]


@pytest.mark.parametrize("first", [True, False])
def test_of_those_who_publish_in_one_moment_one_wins(tmp_path: Path, first: bool) -> None:
    """Of three runs that saw the same dataset, or none, one makes the next version; the others plan anew."""
    gate, out = Barrier(3), str(tmp_path)
    if not first:
        publish(out, None, Change("zero", [], [], [], {}))
    seen = [existing(out) for _ in range(3)]

    def go(number: int) -> bool:
        gate.wait()
        try:
            publish(out, seen[number], Change(f"one-{number}", [], [], [], {}))
        except ConflictError:
            return False
        return True

    with ThreadPoolExecutor(3) as pool:
        assert sorted(pool.map(go, range(3))) == [False, False, True]
    assert open_dataset(out).version == (0 if first else 1)


def test_where_reads_only_matching_rows(tmp_path: Path) -> None:
    """A condition is SQL over the columns, scores included."""
    rows = [a_row("a", n, motion_flow=float(n)) for n in range(4)] + [a_row("a", 9, "error")]
    dataset = publish_rows(str(tmp_path), rows, ["motion_flow"])
    found = dataset.iter_rows(["sample_id"], where="verdict = 'kept' AND scores.motion_flow >= 2")
    assert sorted(row["sample_id"] for row in found) == ["a-2", "a-3"]


@pytest.mark.parametrize("new_names", [["motion_flow"], ["motion_flow", "zoo_animals"]])
def test_replacing_keeps_every_other_row(tmp_path: Path, new_names: list[str]) -> None:
    """Replaced rows leave, all others stay once, in one commit, whether or not the scores grow."""
    uri = str(tmp_path)
    publish_rows(uri, [a_row(s, n, v) for s in "ab" for n, v in enumerate(VERDICTS)], ["motion_flow"])
    publish_rows(uri, [a_row("c", 0)], ["motion_flow"])
    gone = {f"a-{n}" for n in range(4)}
    dataset = publish_rows(uri, [a_row("a", 0, motion_flow=5.0)], new_names, gone)
    assert dataset.version == 2
    assert ids(dataset) == ["a-0", "b-0", "b-1", "b-2", "b-3", "c-0"]
    assert dataset.table(["scores"], where="sample_id = 'a-0'").to_pylist()[0]["scores"]["motion_flow"] == 5.0
    assert dataset.table(["media"], where="sample_id = 'b-0'").to_pylist()[0]["media"] == b"m" * 1000
    assert ids(open_dataset(uri, 1)) == [f"{s}-{n}" for s in "ab" for n in range(4)] + ["c-0"]


@pytest.mark.parametrize("first", [True, False])
def test_two_runs_at_once_cannot_both_publish(tmp_path: Path, first: bool) -> None:
    """The slower of two commits on the same version fails with a conflict and changes nothing."""
    uri = str(tmp_path)
    if not first:
        publish_rows(uri, [a_row("z", 0)], [])
    base = existing(uri)
    changes = {name: write(uri, [a_row(name, 0)], [], name) for name in ("fast", "slow")}
    fast, slow = (Change(name, shards, set(), [], {}) for name, shards in changes.items())
    publish(uri, base, fast)
    with pytest.raises(ConflictError):
        publish(uri, base, slow)
    discard(uri, "slow")
    assert not list(tmp_path.glob("*/part-slow*"))
    assert ids(open_dataset(uri)) == (["fast-0"] if first else ["fast-0", "z-0"])


def test_discard_leaves_what_is_published(tmp_path: Path) -> None:
    """Discarding an attempt that has become a version removes nothing."""
    dataset = publish_rows(str(tmp_path), [a_row("a", 0)], [])
    discard(str(tmp_path), dataset.history()[0]["attempt"])
    assert ids(open_dataset(str(tmp_path))) == ["a-0"]


def test_funnel_counts_every_row_once(tmp_path: Path) -> None:
    """Clips are kept + duplicate + error + all rejected; inputs are distinct files."""
    rows = [a_row(s, n, v) for s in "ab" for n, v in enumerate([*VERDICTS, "rejected"])]
    funnel = publish_rows(str(tmp_path), rows, []).funnel()
    assert funnel.as_json() == {
        "inputs": 2,
        "clips": 10,
        "kept": 2,
        "duplicate": 2,
        "error": 2,
        "rejected": {"motion": 4},
    }


def test_shards_have_the_row_groups_they_were_given_and_zstd(tmp_path: Path) -> None:
    """Each write is one row group, compressed with zstd, and media bytes carry no minimum."""
    with ShardWriter(str(tmp_path), "verdict=kept/x.parquet", "kept") as writer:
        for number in range(3):
            writer.write(pa.Table.from_pylist([a_row("a", number)], schema=schema()))
        shard = writer.finish()
    found = pq.ParquetFile(tmp_path / shard.path).metadata
    assert (found.num_row_groups, found.num_rows, shard.rows) == (3, 3, 3)
    assert shard.size == (tmp_path / shard.path).stat().st_size
    columns = {c.path_in_schema: c for c in map(found.row_group(0).column, range(found.num_columns))}
    media = columns["media"]
    assert media.compression == "ZSTD"
    assert media.statistics is None


def test_missing_dataset_and_version_say_what_to_do(tmp_path: Path) -> None:
    """No dataset, no such version and no such column are input errors with a next step."""
    with pytest.raises(InputError, match="no dataset at") as caught:
        open_dataset(str(tmp_path / "none"))
    assert "curate" in caught.value.next_step
    assert not (tmp_path / "none").exists()
    dataset = publish_rows(str(tmp_path), [a_row("a", 0)], [])
    with pytest.raises(InputError, match="no version 7"):
        open_dataset(str(tmp_path), 7)
    with pytest.raises(InputError, match="no column 'medium'"):
        dataset.table(["medium"])


def test_output_path_may_have_spaces_and_accents(tmp_path: Path) -> None:
    """A dataset's folder may be named in any language."""
    uri = str(tmp_path / "d\u00e9j\u00e0 vu 1")
    check_output(uri)
    publish_rows(uri, [a_row("a", 0), a_row("b", 0)], [])
    assert ids(publish_rows(uri, [a_row("a", 0)], ["zoo_animals"], {"a-0"})) == ["a-0", "b-0"]


def test_output_that_cannot_be_written_is_an_input_error(tmp_path: Path) -> None:
    """A path below a file, and a folder with somebody's files in it, are refused before any work."""
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="cannot be written"):
        check_output(str(tmp_path / "file" / "dataset"))
    with pytest.raises(InputError, match="holds other files"):
        check_output(str(tmp_path))
    with pytest.raises(InputError, match="one of the characters"):
        check_output(str(tmp_path / "new%20"))
    check_output(str(tmp_path / "new"))
    assert list((tmp_path / "new").iterdir()) == []
