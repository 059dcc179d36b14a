"""Datasets of synthetic rows, published version by version."""

from __future__ import annotations

import uuid
from typing import Any

import pyarrow as pa

from curation.dataset import VERDICTS, Dataset, schema
from curation.store.publish import Change, existing, publish
from curation.store.shard import ShardFile, ShardWriter, shard_path


def a_row(source: str, number: int, verdict: str = "kept", **scores: float) -> dict[str, Any]:
    """One row of a dataset, most of it empty."""
    filter_name = {"rejected": "motion", "duplicate": "dedup", "error": "decode"}.get(verdict)
    return {
        **dict.fromkeys(schema().names),
        "sample_id": f"{source}-{number}",
        "uri": f"/media/{source}.mp4",
        "source_sha256": source,
        "media": b"m" * 1000 if verdict == "kept" else None,
        "thumbnail": b"t",
        "verdict": verdict,
        "filter": filter_name,
        "scores": scores,
    }


def write(uri: str, rows: list[dict[str, Any]], names: list[str], attempt: str) -> list[ShardFile]:
    """Write the data files of some rows, one a verdict."""
    shards = []
    for verdict in VERDICTS:
        chosen = [row for row in rows if row["verdict"] == verdict]
        if chosen:
            with ShardWriter(uri, shard_path(attempt, verdict, "00000"), verdict) as writer:
                writer.write(pa.Table.from_pylist(chosen, schema=schema(names)))
                shards.append(writer.finish())
    return shards


def publish_rows(
    uri: str, rows: list[dict[str, Any]], names: list[str], replaced: set[str] | None = None, **lineage: Any
) -> Dataset:
    """Publish some rows as the next version."""
    attempt = uuid.uuid4().hex[:12]
    shards = write(uri, rows, names, attempt)
    return publish(uri, existing(uri), Change(attempt, shards, replaced or set(), names, lineage))


def ids(dataset: Dataset) -> list[str]:
    """The sample ids of a version, sorted."""
    return [row["sample_id"] for row in dataset.table(["sample_id"]).to_pylist()]
