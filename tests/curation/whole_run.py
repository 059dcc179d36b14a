"""What the tests of whole runs share: requests, and ways to look at a dataset."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import av
import numpy as np

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


def everything(dataset: Dataset) -> dict[str, Any]:
    """All that a version says of each clip, its media included, but not which run said so."""
    columns = [name for name in dataset.schema.names if name not in ("run_id", "recipe_sha256")]
    return {row["sample_id"]: {**row, "media": Media(row["media"])} for row in dataset.iter_rows(columns)}


class Media:
    """A clip's file, equal to those of the same bytes, or of as many frames within a level of each other.

    The encoder is told to be repeatable; a build of x264 that it cannot tell so shall not fail a test.
    """

    def __init__(self, data: bytes | None) -> None:
        self.data = data

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Media) or self.data == other.data:
            return isinstance(other, Media)
        mine, others = self._frames(), other._frames()
        return mine.shape == others.shape and float(np.abs(mine - others).mean(axis=(1, 2)).max()) < 1.0

    def __repr__(self) -> str:
        return f"{len(self.data or b'')} bytes"

    def _frames(self) -> Any:
        """Luma and chroma [T, H, W]; [0, 1, 1] of what is no file."""
        if self.data is None:
            return np.zeros((0, 1, 1))
        with av.open(io.BytesIO(self.data)) as container:
            frames = [frame.to_ndarray(format="yuv420p") for frame in container.decode(video=0)]
        return np.stack(frames).astype(np.float32)


def data_files(out: Path) -> set[str]:
    """All files of a dataset's folder but its log, and what it has seen."""
    found = (path.relative_to(out) for path in out.rglob("*") if path.is_file())
    return {str(path) for path in found if path.parts[0] not in ("_delta_log", SEEN)}


def active_files(out: Path) -> set[str]:
    """The files that the newest version consists of."""
    return {str(Path(uri).relative_to(out)) for uri in open_dataset(str(out)).delta.file_uris()}
