"""Reading a dataset: a Delta table whose Parquet files are the shards and whose versions are runs.

This is the only module of curation that training imports.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import pyarrow as pa

from curation.errors import InputError
from curation.stores import delta_options, plain

if TYPE_CHECKING:
    from deltalake import DeltaTable
    from pyarrow.dataset import Dataset as ArrowDataset

VERDICTS = ("kept", "rejected", "duplicate", "error")
DEDUP_SCORE = "dedup_hamming"  # always there, so that `scores` is never an empty struct (Parquet has none)
HEAVY = ("media", "edit_source")  # read only when asked for by name
# JSON text in the log.
_NESTED = ("recipe", "measured", "confirms", "input_snapshot", "model_revisions", "funnel", "cascade")
_LINEAGE = (*_NESTED, "recipe_sha256", "code_version", "run_id")


def schema(score_names: Sequence[str] = ()) -> pa.Schema:
    """The columns of a dataset (DESIGN: dataset contract) whose filters gave `score_names`."""
    names = sorted({DEDUP_SCORE, *score_names})
    text = pa.string()
    turn = pa.struct([("role", text), ("content", text)])
    return pa.schema(
        [
            ("sample_id", text),
            ("task", text),
            ("source", text),
            ("uri", text),
            ("source_sha256", text),
            ("licence", text),
            ("start_s", pa.float64()),
            ("end_s", pa.float64()),
            ("width", pa.int32()),
            ("height", pa.int32()),
            ("fps", pa.float64()),
            ("num_frames", pa.int32()),
            ("media", pa.binary()),
            ("media_format", text),
            ("edit_source", pa.binary()),
            ("caption", text),
            ("caption_original", text),
            ("captioner", text),
            ("instruction", text),
            ("conversation", pa.list_(turn)),
            ("thumbnail", pa.binary()),
            ("verdict", text),
            ("filter", text),
            ("reason", text),
            ("detail", text),
            ("scores", pa.struct([(name, pa.float64()) for name in names])),
            ("fingerprint", pa.binary()),
            ("run_id", text),
            ("recipe_sha256", text),
        ]
    )


SCHEMA = schema()


class Funnel(NamedTuple):
    """Where every clip of some inputs went: clips = kept + duplicate + error + sum(rejected)."""

    inputs: int
    clips: int
    kept: int
    duplicate: int
    error: int
    rejected: dict[str, int]

    def as_json(self) -> dict[str, Any]:
        """The funnel as the commands print it."""
        return self._asdict()


def count_funnel(rows: pa.Table) -> Funnel:
    """The funnel of `rows`, a table with at least uri, verdict and filter; an input is a distinct uri."""
    counts = rows.group_by(["verdict", "filter"]).aggregate([([], "count_all")]).to_pylist()
    by_verdict = dict.fromkeys(VERDICTS, 0)
    rejected: dict[str, int] = {}
    for row in counts:
        by_verdict[row["verdict"]] += row["count_all"]
        if row["verdict"] == "rejected":
            rejected[row["filter"]] = rejected.get(row["filter"], 0) + row["count_all"]
    inputs = len(rows["uri"].unique())
    del by_verdict["rejected"]
    return Funnel(inputs=inputs, clips=len(rows), **by_verdict, rejected=dict(sorted(rejected.items())))


class Dataset:
    """One version of a dataset, read lazily: only the columns and rows that are asked for."""

    def __init__(self, uri: str, delta: DeltaTable):
        self.uri = uri
        self.version: int = delta.version()
        self.delta = delta

    @property
    def schema(self) -> pa.Schema:
        """Columns of this version; `scores` holds every score that any version so far has had."""
        return pa.schema(self.delta.schema().to_arrow())

    @property
    def score_names(self) -> list[str]:
        """Names of the fields of `scores`."""
        return [field.name for field in self.schema.field("scores").type]

    def history(self) -> list[dict[str, Any]]:
        """Every commit up to this version, newest first, each with its version and its lineage."""
        from deltalake import DeltaTable

        # Of a table at an older version, deltalake 1.6 lists the newest commits under the wrong numbers.
        commits = DeltaTable(self.uri, storage_options=delta_options(self.uri)).history()
        return [_read(commit) for commit in commits if commit["version"] <= self.version]

    @property
    def metadata(self) -> dict[str, Any]:
        """Lineage of the commit that made this version: recipe, hashes, code, models, run, funnel."""
        commit = self.history()[0]
        return {key: commit[key] for key in _LINEAGE if key in commit}

    def scan(self, columns: Sequence[str] | None = None, where: str | None = None) -> pa.RecordBatchReader:
        """Stream record batches; without `columns`, all but the media bytes. `where` is SQL over the columns.

        Column names in `where` are case sensitive; a score is `scores.motion_mean_flow`.
        """
        chosen = list(columns) if columns is not None else self._light_columns()
        unknown = [name for name in chosen if name not in self.schema.names]
        if unknown:
            known = ", ".join(self.schema.names)
            raise InputError(f"no column {unknown[0]!r} in {self.uri}", "reading", f"choose from {known}")
        reader = pa.RecordBatchReader.from_stream(self.delta.scan(columns=chosen, predicate=where))
        return reader.cast(pa.schema([self.schema.field(name) for name in chosen]))  # views to plain types

    def table(self, columns: Sequence[str] | None = None, where: str | None = None) -> pa.Table:
        """The rows of `scan` as one table in memory; their order is by sample_id where that is a column."""
        table = self.scan(columns, where).read_all()
        return table.sort_by("sample_id") if "sample_id" in table.column_names else table

    def iter_rows(
        self, columns: Sequence[str] | None = None, where: str | None = None, batch: int = 256
    ) -> Iterator[dict[str, Any]]:
        """Rows as plain dicts, at most `batch` of them in memory as Python objects at once."""
        for records in self.scan(columns, where):
            for start in range(0, records.num_rows, batch):
                yield from records.slice(start, batch).to_pylist()

    def arrow(self) -> ArrowDataset:
        """A lazy pyarrow dataset, for DuckDB and others that push columns and filters down."""
        return self.delta.to_pyarrow_dataset()

    def funnel(self) -> Funnel:
        """The funnel of all rows of this version."""
        return count_funnel(self.table(["uri", "verdict", "filter"]))

    def _light_columns(self) -> list[str]:
        return [name for name in self.schema.names if name not in HEAVY]


def _read(commit: dict[str, Any]) -> dict[str, Any]:
    nested = (key for key in _NESTED if isinstance(commit.get(key), str))
    return commit | {key: json.loads(commit[key]) for key in nested}


def open_dataset(uri: str, version: int | None = None) -> Dataset:
    """Open a dataset at its newest version, or at `version`.

    Raises InputError if there is no dataset at `uri` or no such version of it.
    """
    from deltalake import DeltaTable
    from deltalake.exceptions import DeltaError, TableNotFoundError

    if version is not None and version < 0:
        raise InputError(f"version {version} is negative", "opening", "versions count from 0")
    try:
        delta = DeltaTable(str(uri), storage_options=delta_options(str(uri)))
    except OSError as error:
        what = f"{uri} cannot be opened: {plain(error)}"
        raise InputError(what, "opening", "check the path, the network and the credentials") from error
    except (TableNotFoundError, ValueError) as error:
        what = f"no dataset at {uri}"
        raise InputError(what, "opening", "check the path, or make one: omnivideo curate RECIPE") from error
    except DeltaError as error:
        raise InputError(
            f"{uri} is damaged: {error}", "opening", "restore its _delta_log from a copy"
        ) from error
    newest = delta.version()
    if version is not None and version > newest:
        known = f"omnivideo versions {uri}"
        raise InputError(f"{uri} has no version {version}", "opening", f"the newest is {newest}: {known}")
    if version is not None and version != newest:
        try:
            delta.load_as_version(version)
        except DeltaError as error:
            what = f"version {version} of {uri} is no longer readable: {error}"
            raise InputError(what, "opening", f"omnivideo versions {uri}") from error
    return Dataset(str(uri), delta)
