"""One version of a dataset as the audit sees it: its files, its commit, its recipe and its history."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

_LINEAGE = (
    "recipe",
    "recipe_sha256",
    "run_id",
    "code_version",
    "input_snapshot",
    "model_revisions",
    "funnel",
    "cascade",
)


@dataclass(frozen=True)
class DataFile:
    """A Parquet file of the version, with the partition values that the log holds for it."""

    uri: str
    rows: int
    bytes: int
    partition: dict[str, Any]


@dataclass(frozen=True)
class Snapshot:
    """A version with its files and the commits up to it, newest first. Nothing of the files has been read."""

    uri: str
    version: int
    files: tuple[DataFile, ...]
    history: tuple[dict[str, Any], ...]

    @property
    def rows(self) -> int:
        """Rows that the log counts, read from no file."""
        return sum(file.rows for file in self.files)

    @property
    def timestamp_ms(self) -> int | None:
        """When the version was committed, in milliseconds since 1970; None when its commit was cleaned up."""
        newest = self.history[0] if self.history else {}
        stamp = newest.get("timestamp")
        return int(stamp) if newest.get("version") == self.version and stamp is not None else None

    def publication(self, runs: set[str], recipes: set[str]) -> dict[str, Any]:
        """Metadata of the commit that says how the rows came to be; {} when no commit does.

        The newest by one of the rows' `runs`, else with one of their `recipes` (hashes): after a rollback the
        newest commit of all speaks of other rows.
        """
        told = [commit for commit in self.history if "recipe" in commit or "recipe_sha256" in commit]
        by_run = [commit for commit in told if commit.get("run_id") in runs]
        by_recipe = [commit for commit in told if commit.get("recipe_sha256") in recipes]
        return _metadata((by_run or by_recipe or told or [{}])[0])


def open_snapshot(uri: str, version: int | None = None) -> Snapshot:
    """The given or the newest version of the dataset at `uri`.

    Raises InputError when there is no dataset or no such version.
    """
    from curation.dataset import open_dataset

    dataset = open_dataset(uri, version)
    commits = sorted(dataset.history(), key=lambda commit: -int(commit["version"]))
    return Snapshot(dataset.uri, dataset.version, _files(dataset.delta, dataset.uri), tuple(commits))


def _files(table: Any, uri: str) -> tuple[DataFile, ...]:
    import pyarrow as pa

    actions = pa.table(table.get_add_actions(flatten=True)).to_pylist()
    root = _root(uri)
    return tuple(
        DataFile(
            uri=f"{root}/{unquote(action['path'])}",  # the log percent-encodes paths
            rows=int(action["num_records"] or 0),
            bytes=int(action["size_bytes"] or 0),
            partition={
                key.removeprefix("partition."): value
                for key, value in action.items()
                if key.startswith("partition.")
            },
        )
        for action in sorted(actions, key=lambda action: str(action["path"]))
    )


def _root(uri: str) -> str:
    """The table's folder or URL. `DeltaTable.file_uris` is of no use: it percent-encodes local folders."""
    path = uri.removeprefix("file://")
    return uri.rstrip("/") if "://" in path else str(Path(path).absolute())


def _metadata(commit: dict[str, Any]) -> dict[str, Any]:
    known = {key: commit[key] for key in _LINEAGE if key in commit}
    return {**known, "version": commit["version"]} if known else {}
