"""A folder of real media for whole runs, and a way to run them without a cluster."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def media(tmp_path: Path, videos: Path, images: Path) -> Path:
    """Two near-duplicate videos, three pictures, an exact copy of one, a truncated video and a text."""
    folder = tmp_path / "media"
    folder.mkdir()
    for path in (videos / "carphone_pristine.mp4", videos / "carphone_distorted.mp4"):
        shutil.copy(path, folder)
    for name in ("coins.png", "rocket.jpg", "text.png"):
        shutil.copy(images / name, folder)
    shutil.copy(images / "coins.png", folder / "same-coins.png")
    (folder / "broken.mp4").write_bytes((videos / "bikes.mp4").read_bytes()[:200_000])
    (folder / "notes.txt").write_text("no media")
    return folder


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in this process instead of on a cluster: what is tested is what happens around it."""

    from curation import engine

    def each(make: Callable[[], engine.Work], inputs: Sequence[Any], *_: Any) -> Iterator[Any]:
        work = make()
        return (json.loads(json.dumps(work(json.loads(json.dumps(one))))) for one in inputs)

    monkeypatch.setattr(engine, "each", each)
