"""`omnivideo curate` from outside: real media, the Delta table read with other people's tools."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import duckdb
from deltalake import DeltaTable

from tests.pipelines.conftest import CANARY, CommandLine

INPUTS = 9


def read(dataset: Path) -> list[dict[str, Any]]:
    """All rows but the heavy columns, by deltalake alone."""
    columns = ["sample_id", "uri", "verdict", "filter", "reason", "detail", "num_frames"]
    return DeltaTable(str(dataset)).to_pyarrow_table(columns=columns).to_pylist()


def test_json_is_alone_on_standard_output(curated: tuple[Path, dict[str, Any]]) -> None:
    """`--json` prints the contract's object and nothing else there."""
    _, result = curated
    assert set(result) >= {"dataset", "version", "funnel", "seconds"}


def test_the_funnel_closes(curated: tuple[Path, dict[str, Any]]) -> None:
    """Every input is accounted for, in the printed funnel and in the table alike."""
    dataset, result = curated
    funnel = result["funnel"]
    rows = read(dataset)
    assert funnel["inputs"] == INPUTS == len({row["uri"] for row in rows})
    assert funnel["clips"] == len(rows) == len({row["sample_id"] for row in rows})
    assert funnel["clips"] == (
        funnel["kept"] + funnel["duplicate"] + funnel["error"] + sum(funnel["rejected"].values())
    )


def test_broken_files_are_errors_with_a_reason(curated: tuple[Path, dict[str, Any]]) -> None:
    """A truncated and a non-media file each end as one error row that says why, and has no score."""
    errors = {Path(row["uri"]).name: row for row in read(curated[0]) if row["verdict"] == "error"}
    assert set(errors) == {"truncated.mp4", "notes.mp4"}
    assert all(row["reason"] and row["detail"] for row in errors.values())


def test_a_secret_of_the_environment_is_written_nowhere(
    command_line: CommandLine, curated: tuple[Path, dict[str, Any]]
) -> None:
    """It stands in no log, request, artifact, row or page of a whole run, nor in Prefect's database."""
    assert command_line.run("audit", str(curated[0])).returncode == 0
    written = [path for path in command_line.folder.rglob("*") if path.is_file()]
    kinds = {path.suffix for path in written} | {path.parent.name for path in written}
    assert kinds >= {".parquet", ".html", ".log", ".db", "requests", "_delta_log"}
    assert [path for path in written if CANARY.encode() in path.read_bytes()] == []


def test_duckdb_counts_the_same_verdicts(curated: tuple[Path, dict[str, Any]]) -> None:
    """DuckDB reads the published shards and finds the verdicts that were printed."""
    dataset, result = curated
    files = DeltaTable(str(dataset)).file_uris()
    counted = duckdb.sql(
        f"SELECT count(*) FROM read_parquet({files!r}, hive_partitioning=true) WHERE verdict = 'kept'"
    ).fetchall()
    assert counted == [(result["funnel"]["kept"],)]


def test_a_second_run_repeats_nothing(
    command_line: CommandLine, media: Path, curated: tuple[Path, dict[str, Any]]
) -> None:
    """The same command again finds nothing new: same version, same funnel."""
    dataset, first = curated
    done = command_line.run("curate", "tiny", "--source", str(media), "--out", str(dataset), "--json")
    again = json.loads(done.stdout)
    assert (again["version"], again["funnel"]) == (first["version"], first["funnel"])


def test_a_killed_run_goes_on(
    command_line: CommandLine, media: Path, curated: tuple[Path, dict[str, Any]]
) -> None:
    """After kill -9 in the middle the same command ends with the rows of a run that was never killed."""
    dataset = command_line.folder / "killed"
    arguments = ("curate", "tiny", "--source", str(media), "--out", str(dataset), "--json")
    process = command_line.start(*arguments)
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("filters") or line.startswith("split"):
            break
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    time.sleep(1.0)
    done = command_line.run(*arguments)
    assert done.returncode == 0, done.stderr
    assert sorted(row["sample_id"] for row in read(dataset)) == sorted(
        row["sample_id"] for row in read(curated[0])
    )
    assert not list(dataset.glob("_staging/**/*.parquet"))
