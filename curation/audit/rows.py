"""The rows of a version as a DuckDB table, without the bytes of media; each figure keeps its query."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypedDict

from curation.audit.snapshot import Snapshot
from curation.stores import is_local, place

COLUMNS = {
    "sample_id": "VARCHAR",
    "task": "VARCHAR",
    "source": "VARCHAR",
    "uri": "VARCHAR",
    "source_sha256": "VARCHAR",
    "licence": "VARCHAR",
    "start_s": "DOUBLE",
    "end_s": "DOUBLE",
    "width": "BIGINT",
    "height": "BIGINT",
    "fps": "DOUBLE",
    "num_frames": "BIGINT",
    "media_format": "VARCHAR",
    "caption": "VARCHAR",
    "caption_original": "VARCHAR",
    "captioner": "VARCHAR",
    "instruction": "VARCHAR",
    "verdict": "VARCHAR",
    "filter": "VARCHAR",
    "reason": "VARCHAR",
    "detail": "VARCHAR",
    "run_id": "VARCHAR",
    "recipe_sha256": "VARCHAR",
}
"""What the audit reads of each row, beside `scores`. A column that a version lacks reads as NULL."""

_SIGNIFICANT_DIGITS = 7  # sums over threads differ in the last bits; two audits of a version must not


class Figure(TypedDict):
    """Rows that a query gave, and the query: run over the version's rows it gives them again."""

    sql: str
    rows: list[dict[str, Any]]


class Rows:
    """Table `rows` of one version, and table `before` of the version compared with, in a DuckDB file."""

    def __init__(self, connection: Any, scores: Sequence[str], scores_before: Sequence[str]) -> None:
        self._connection = connection
        self.scores = tuple(scores)  # names of the fields of `scores`, sorted
        self.scores_before = tuple(scores_before)  # those of `before`

    def ask(self, sql: str) -> Figure:
        """Run a query. Values come back as JSON has them: NaN and infinities as None, decimals as floats."""
        sql = _tidy(sql)
        cursor = self._connection.execute(sql)
        names = [column[0] for column in cursor.description]
        return {
            "sql": sql,
            "rows": [dict(zip(names, map(_plain, row), strict=True)) for row in cursor.fetchall()],
        }

    def thumbnails(self, sample_ids: Iterable[str]) -> Iterator[tuple[str, bytes]]:
        """Thumbnails of the samples that have one; reads that column of the files that hold them."""
        wanted = sorted(set(sample_ids))
        found = self._connection.execute(
            "SELECT filename, list(sample_id) FROM places WHERE sample_id IN (SELECT unnest(?)) "
            "GROUP BY filename ORDER BY filename",
            [wanted],
        ).fetchall()
        for filename, ids in found:
            yield from self._connection.execute(
                "SELECT sample_id, thumbnail FROM read_parquet(?) "
                "WHERE sample_id IN (SELECT unnest(?)) AND thumbnail IS NOT NULL",
                [filename, ids],
            ).fetchall()

    def media_nulls(self, files: Sequence[str]) -> int | None:
        """How many rows of these files have no media, by their footers; None if a footer does not say."""
        if not files:
            return 0
        counts = self._connection.execute(
            "SELECT stats_null_count FROM parquet_metadata(?) WHERE path_in_schema = 'media'", [list(files)]
        ).fetchall()
        nulls = [count for (count,) in counts]
        return None if not nulls or None in nulls else sum(nulls)


@contextmanager
def open_rows(snapshot: Snapshot, before: Snapshot | None = None) -> Iterator[Rows]:
    """The version's rows in a temporary DuckDB file, so that memory stays bounded on millions of rows."""
    import duckdb

    with TemporaryDirectory(prefix="omnivideo-audit-") as folder:
        connection = duckdb.connect(str(Path(folder) / "rows.duckdb"))
        try:
            connection.execute("SET memory_limit = '4GB'")
            _reach(connection, snapshot.uri)
            scores = _load(connection, "rows", snapshot)
            scores_before = _load(connection, "before", before) if before is not None else []
            yield Rows(connection, scores, scores_before)
        finally:
            connection.close()


def name(identifier: str) -> str:
    """An identifier for SQL, quoted unless it is plain."""
    plain = re.fullmatch(r"[a-z_][a-z0-9_]*", identifier) and identifier not in {"filter", "order", "group"}
    return identifier if plain else '"' + identifier.replace('"', '""') + '"'


def text(value: str) -> str:
    """A string literal for SQL."""
    return "'" + value.replace("'", "''") + "'"


def score(field: str) -> str:
    """A field of `scores` as SQL."""
    return f"scores.{name(field)}"


def _reach(connection: Any, uri: str) -> None:
    """Let DuckDB read what fsspec can reach; local paths need nothing."""
    if not is_local(uri.removeprefix("file://")):
        connection.register_filesystem(place(uri).fs)


def _load(connection: Any, table: str, snapshot: Snapshot) -> list[str]:
    """Create `table` from the version's files and return the names of its scores."""
    places = "places" if table == "rows" else f"places_{table}"
    _files_table(connection, f"files_{table}", snapshot)
    uris = [file.uri for file in snapshot.files]
    if not uris:
        columns = ", ".join(f"NULL::{kind} AS {name(column)}" for column, kind in COLUMNS.items())
        connection.execute(f"CREATE TABLE {table} AS SELECT {columns}, NULL AS scores WHERE false")
        connection.execute(f"CREATE TABLE {places} (sample_id VARCHAR, filename VARCHAR)")
        return []
    parquet = "read_parquet(?, union_by_name=true, hive_partitioning=false, filename=true)"
    described = connection.execute(f"DESCRIBE SELECT * FROM {parquet}", [uris]).fetchall()
    present = {column[0]: column[1] for column in described}
    picked = ", ".join(_pick(column, kind, present, snapshot) for column, kind in COLUMNS.items())
    scores = "scores" if present.get("scores", "").startswith("STRUCT") else "NULL AS scores"
    connection.execute(
        f"CREATE TABLE {table} AS SELECT {picked}, {scores} "
        f"FROM {parquet} AS data JOIN files_{table} AS file USING (filename)",
        [uris],
    )
    connection.execute(f"CREATE TABLE {places} AS SELECT sample_id, filename FROM {parquet}", [uris])
    return _fields(connection, table)


def _files_table(connection: Any, table: str, snapshot: Snapshot) -> None:
    keys = sorted({key for file in snapshot.files for key in file.partition})
    columns = "".join(f", {name('part_' + key)} VARCHAR" for key in keys)
    connection.execute(f"CREATE TABLE {table} (filename VARCHAR{columns})")
    marks = ", ".join("?" * (len(keys) + 1))
    for file in snapshot.files:
        values = [file.partition.get(key) for key in keys]
        connection.execute(f"INSERT INTO {table} VALUES ({marks})", [file.uri, *values])


def _pick(column: str, kind: str, present: dict[str, str], snapshot: Snapshot) -> str:
    partitioned = any(column in file.partition for file in snapshot.files)
    if partitioned:
        value = f"file.{name('part_' + column)}"
    else:
        value = f"data.{name(column)}" if column in present else "NULL"
    return f"{value}::{kind} AS {name(column)}"


def _fields(connection: Any, table: str) -> list[str]:
    kind = connection.table(table).select("scores").types[0]
    return sorted(field for field, _ in kind.children) if kind.id == "struct" else []


def _tidy(sql: str) -> str:
    lines = [line.strip() for line in sql.strip().splitlines()]
    return "\n".join(line for line in lines if line)


def _plain(value: Any) -> Any:
    from decimal import Decimal

    if isinstance(value, Decimal):
        value = float(value)
    if isinstance(value, float):
        return rounded(value)
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return value


def rounded(value: float) -> float | None:
    """A float to seven significant digits; None if it is not finite."""
    return float(f"{value:.{_SIGNIFICANT_DIGITS}g}") if math.isfinite(value) else None
