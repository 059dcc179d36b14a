from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from curation.errors import MediaError
from curation.filters import Frames
from curation.media import picture

PIXELS = 10**8


def saved(path: Path, pixels: Any, mode: str | None = None) -> Path:
    """Pixels as a file."""
    Image.fromarray(pixels, mode).save(path) if mode else Image.fromarray(pixels).save(path)
    return path


def test_exif_orientation_is_applied(turned_photo: Path, images: Path) -> None:
    """A photograph is read as a person sees it, and its size from the header agrees."""
    found = picture.read(turned_photo, PIXELS)
    upright = np.rot90(np.asarray(Image.open(images / "rocket.jpg")), -1)
    assert found.shape == (640, 427, 3)
    assert np.abs(found.astype(int) - upright).mean() < 5
    assert picture.size_of(turned_photo, PIXELS) == (427, 640)


def test_sixteen_bits_become_eight(tmp_path: Path, images: Path) -> None:
    """A 16-bit grey picture keeps its range."""
    grey = np.asarray(Image.open(images / "camera.png"))
    path = saved(tmp_path / "deep.png", grey.astype(np.uint16) * 257)
    np.testing.assert_array_equal(picture.read(path, PIXELS)[..., 0], grey)


@pytest.mark.parametrize("top", [1.0, 400.0])
def test_floats_become_eight_bits(tmp_path: Path, top: float) -> None:
    """A picture of floats spans black to white, whether it ends at one or goes far beyond."""
    ramp = np.tile(np.linspace(0, top, 64, dtype=np.float32), (64, 1))
    found = picture.read(saved(tmp_path / "f.tif", ramp), PIXELS)
    assert (found.min(), found.max()) == (0, 255)


def test_transparency_is_white(tmp_path: Path) -> None:
    """What shows through is paper, not the black that lies beneath."""
    clear = np.zeros((20, 20, 4), np.uint8)
    clear[:10, :, 0], clear[:10, :, 3] = 200, 255
    found = picture.read(saved(tmp_path / "a.png", clear), PIXELS)
    assert found[0, 0].tolist() == [200, 0, 0]
    assert found[-1, 0].tolist() == [255, 255, 255]


def test_palettes_and_cmyk_are_colours(tmp_path: Path, images: Path) -> None:
    """Palette and print pictures come out in the colours that they show."""
    image = Image.open(images / "coffee.png").convert("RGB")
    image.quantize(64).save(tmp_path / "p.png")
    image.convert("CMYK").save(tmp_path / "c.jpg", quality=95)
    truth = np.asarray(image).mean((0, 1))
    for name in ("p.png", "c.jpg"):
        np.testing.assert_allclose(picture.read(tmp_path / name, PIXELS).mean((0, 1)), truth, atol=6)


def test_the_first_frame_stands_for_an_animation(images: Path) -> None:
    """Of an animated or many-paged file, the first picture is taken."""
    gif = picture.read(images / "no_time_for_that_tiny.gif", PIXELS)
    with Image.open(images / "no_time_for_that_tiny.gif") as image:
        np.testing.assert_array_equal(gif, np.asarray(image.convert("RGB")))
    assert picture.read(images / "multipage.tif", PIXELS).shape[2] == 3


@pytest.mark.parametrize("name", ["coffee.png", "rocket.jpg"])
def test_half_a_picture_is_truncated(tmp_path: Path, images: Path, name: str) -> None:
    """A picture that ends early is an error and never half a picture."""
    data = (images / name).read_bytes()
    path = tmp_path / name
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(MediaError) as caught:
        picture.read(path, PIXELS)
    assert caught.value.slug == "truncated"


def test_frames_of_a_picture(images: Path) -> None:
    """A picture gives itself as one frame, smaller if asked, in grey or in colour."""
    clip = picture.PictureClip(picture.read(images / "rocket.jpg", PIXELS))
    assert clip.frames(Frames(count=3, long_side=320, color="rgb")).shape == (1, 214, 320, 3)
    assert clip.frames(Frames(fps=2)).shape == (1, 427, 640)
