"""Files that are wrong in a known way."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from .. import footage


@pytest.fixture(scope="session")
def shots(videos: Path) -> footage.Pictures:
    """Sixty frames of a real film with one cut, at frame 30; 640x272."""
    return footage.read(videos / "bikes.mp4", 60)


@pytest.fixture
def rotated(tmp_path: Path, shots: footage.Pictures) -> Path:
    """A film held upright by a phone: stored lying, with the turn to the right in its metadata."""
    return footage.write(tmp_path / "rotated.mp4", [np.rot90(s).copy() for s in shots[:25]], turn=-90)


@pytest.fixture
def uneven(tmp_path: Path, shots: footage.Pictures) -> tuple[Path, list[float]]:
    """A film of changing frame rate, with its times: 25, then 10, then 50 frames a second."""
    steps = [0.04] * 20 + [0.1] * 20 + [0.02] * 20
    times = [0.0, *np.cumsum(steps).tolist()][:60]
    return footage.write(tmp_path / "uneven.mp4", shots, at=times), times


@pytest.fixture
def turned_photo(tmp_path: Path, images: Path) -> Path:
    """A photograph whose EXIF data says to turn it."""
    image = Image.open(images / "rocket.jpg")
    exif = Image.Exif()
    exif[0x0112] = 6
    path = tmp_path / "turned.jpg"
    image.save(path, exif=exif)
    return path
