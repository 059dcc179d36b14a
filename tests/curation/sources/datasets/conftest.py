"""Pictures, clips, edited ones, and one worker that judges them."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from curation.media.records import ScanRequest
from curation.sources import DatasetSource, list_items
from curation.steps import judge as judging
from curation.steps.cuts import CUT
from curation.store.staging import Staging

from .layouts import Layout

Judge = Callable[..., list[dict[str, Any]]]


@pytest.fixture
def layout(tmp_path: Path, images: Path, videos: Path) -> Layout:
    """An empty folder with three photographs and two clips at hand."""
    pictures = [images / name for name in ("coins.png", "rocket.jpg", "chelsea.png")]
    clips = [videos / name for name in ("carphone_pristine.mp4", "carphone_distorted.mp4")]
    return Layout(tmp_path / "root", pictures, clips)


@pytest.fixture(scope="session")
def edited(images: Path) -> bytes:
    """The rocket with a red square on it, as PNG."""
    pixels = np.array(Image.open(images / "rocket.jpg").convert("RGB"))
    pixels[100:160, 200:280] = (220, 30, 30)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture(scope="session")
def judge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Judge]:
    """Judges all records of a source: a row each, of an error its outcome, of a kept one with its media."""
    staging = Staging(str(tmp_path_factory.mktemp("staged")), "0" * 64)
    worker = judging.Judge(staging, ScanRequest().to_json())

    def run(dataset: str, root: Path, **more: Any) -> list[dict[str, Any]]:
        source = DatasetSource(dataset=dataset, root=str(root), **more)
        return [_row(worker, staging, item) for item in list_items([source])]

    yield run
    worker._worker.close()


def _row(worker: judging.Judge, staging: Staging, item: Any) -> dict[str, Any]:
    outcome = worker(item)
    if outcome["sha256"] is None:
        return {"verdict": "error", "item": item, **outcome}
    ((row,),) = (table.to_pylist() for table in staging.read(judging.JUDGED, [outcome["sha256"]]))
    kept = [row["sample_id"]] if row["verdict"] == "kept" else []
    cut = next((table.to_pylist()[0] for table in staging.read(CUT, kept)), {})
    return {**cut, **row, "item": item}
