"""What the tests of whole runs share: requests, and ways to look at a dataset."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from curation.config import CurateRequest
from curation.dataset import Dataset, open_dataset
from curation.store.seen import SEEN

FUNNEL = {"inputs": 8, "clips": 8, "kept": 4, "duplicate": 2, "error": 2, "rejected": {}}  # of `media`


def request(media: Path, out: Path, **other: Any) -> CurateRequest:
    """A request over a folder with two filters."""
    filters = ["duration", {"resolution": {"min_short_side": 140}}]
    plain = {"sources": [{"folder": str(media)}], "filters": filters, "out": str(out), "run_id": "one"}
    return CurateRequest.model_validate({**plain, **other})


def silent(event: dict[str, Any]) -> None:
    """Listen to nothing."""


def rows_of(dataset: Dataset) -> dict[str, tuple[str, str | None, str | None]]:
    """Verdict, filter and reason of each row, by its id."""
    rows = dataset.iter_rows(["sample_id", "verdict", "filter", "reason"])
    return {row["sample_id"]: (row["verdict"], row["filter"], row["reason"]) for row in rows}


def data_files(out: Path) -> set[str]:
    """All files of a dataset's folder but its log, and what it has seen."""
    found = (path.relative_to(out) for path in out.rglob("*") if path.is_file())
    return {str(path) for path in found if path.parts[0] not in ("_delta_log", SEEN)}


def active_files(out: Path) -> set[str]:
    """The files that the newest version consists of."""
    return {str(Path(uri).relative_to(out)) for uri in open_dataset(str(out)).delta.file_uris()}
