"""BRISQUE as the package has it, and what it says of photographs and their ruins."""

from __future__ import annotations

import io
import pickle
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from curation.filters import brisque

pytestmark = pytest.mark.skipif(
    find_spec("brisque") is None, reason="the weights come with the extra 'models'"
)

# What brisque 0.2.0 says of the grey picture, its features made plain numbers (NumPy 2 refuses its arrays).
KNOWN = {"astronaut.png": 10.782, "chelsea.png": 3.542, "coffee.png": 3.098, "camera.png": -7.879}
PHOTOS = (*KNOWN, "rocket.jpg", "motorcycle_left.png", "grass.png", "gravel.png", "brick.png", "retina.jpg")


def grey(images: Path, name: str) -> Any:
    """[H,W]."""
    return cv2.cvtColor(cv2.imread(str(images / name)), cv2.COLOR_BGR2GRAY)


@pytest.mark.parametrize("name", KNOWN)
def test_the_score_is_the_packages(images: Path, name: str) -> None:
    """The score of a photograph is that of the package whose weights are used."""
    assert brisque.score(grey(images, name)) == pytest.approx(KNOWN[name], abs=0.02)


def test_ruined_photographs_score_worse(images: Path) -> None:
    """Nine of ten photographs score worse once noisy, compressed or blurred."""
    random = np.random.default_rng(0)
    worse = []
    for name in PHOTOS:
        picture = cv2.resize(grey(images, name)[:1024, :1024], (384, 384), interpolation=cv2.INTER_AREA)
        before = brisque.score(picture)
        noisy = np.clip(picture + random.normal(0, 30, picture.shape), 0, 255).astype(np.uint8)
        jpeg = cv2.imdecode(cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 10])[1], 0)
        ruins = (noisy, jpeg, cv2.GaussianBlur(picture, (0, 0), 2))
        worse += [brisque.score(ruin) > before for ruin in ruins]
    assert np.mean(worse) >= 0.9


def test_flat_and_tiny_pictures_have_a_score() -> None:
    """A picture without any detail, and the smallest one that is judged, give finite scores."""
    for picture in (np.full((64, 64), 128), np.zeros((32, 32)), np.eye(33) * 255):
        assert np.isfinite(brisque.score(picture.astype(np.uint8)))


def test_weights_cannot_run_code() -> None:
    """A file of ranges that names a function to call is refused."""
    with pytest.raises(pickle.UnpicklingError, match="is not a number"):
        brisque._Numbers(io.BytesIO(pickle.dumps(print))).load()
