from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from curation.media import thumbnail
from curation.media.records import ClipRecord, ScanRequest
from curation.media.scan import scan
from curation.media.signals import measure

from .. import footage


def clip_of(path: Path) -> ClipRecord:
    """A file's first clip."""
    return scan(path, ScanRequest(), 10**8).clips[0]


def distance(a: bytes, b: bytes) -> float:
    """Mean number of differing bits of 64, over the five hashes."""
    return int.from_bytes(bytes(x ^ y for x, y in zip(a, b, strict=True))).bit_count() / 5


def test_a_strip_is_five_small_frames(videos: Path) -> None:
    """A video's thumbnail is a JPEG of five frames side by side, 96 px high."""
    image = Image.open(io.BytesIO(clip_of(videos / "bigbuckbunny.mp4")["thumbnail"]))
    assert (image.format, image.size) == ("JPEG", (5 * 171, 96))


def test_a_picture_is_shown_once(images: Path) -> None:
    """An image's thumbnail is one frame, and very wide or tiny ones keep the height of all."""
    for name in ("rocket.jpg", "text.png", "multipage.tif"):
        image = Image.open(io.BytesIO(clip_of(images / name)["thumbnail"]))
        assert image.height == 96
        assert image.width <= 171


def test_a_fingerprint_is_forty_bytes(videos: Path, images: Path) -> None:
    """Videos and images have five hashes each; an image repeats its one."""
    assert len(clip_of(videos / "bikes.mp4")["fingerprint"]) == 40
    picture = clip_of(images / "rocket.jpg")["fingerprint"]
    assert picture == picture[:8] * 5


def test_fingerprints_are_imagehashs(images: Path) -> None:
    """A hash is imagehash.phash of the small picture, packed."""
    import imagehash

    pixels = np.asarray(Image.open(images / "coffee.png").resize((144, 96)))
    packed = thumbnail.fingerprint([pixels] * 5)
    assert packed[:8].hex() == str(imagehash.phash(Image.fromarray(pixels)))


def test_copies_are_near_and_others_far(tmp_path: Path, videos: Path) -> None:
    """A smaller, re-encoded copy and the ruined twin are near their original; another film is not."""
    original = clip_of(videos / "carphone_pristine.mp4")["fingerprint"]
    frames = footage.fitted(footage.read(videos / "carphone_pristine.mp4"), 128, 96)
    path = footage.write(tmp_path / "copy.mp4", frames, fps=30000 / 1001, options={"crf": "32"})
    assert distance(original, clip_of(path)["fingerprint"]) < 6
    assert distance(original, clip_of(videos / "carphone_distorted.mp4")["fingerprint"]) < 16
    assert distance(original, clip_of(videos / "bigbuckbunny.mp4")["fingerprint"]) > 20


@pytest.mark.parametrize(
    ("colour", "name"),
    [
        ((255, 0, 0), "red"),
        ((250, 20, 40), "red"),
        ((20, 200, 30), "green"),
        ((0, 60, 10), "dark green"),
        ((30, 30, 180), "blue"),
        ((128, 128, 128), "grey"),
        ((5, 5, 5), "black"),
        ((250, 250, 250), "white"),
        ((100, 60, 20), "brown"),
        ((150, 200, 255), "light blue"),
    ],
)
def test_colours_have_their_names(colour: tuple[int, int, int], name: str) -> None:
    """A plain colour is called what a person calls it."""
    plain = np.full((96, 96, 3), colour, np.uint8)
    assert measure([plain])["colours"] == [name]


def test_signals_are_plain_numbers(videos: Path) -> None:
    """Signals can be stored as JSON, and a still has no change."""
    signals = clip_of(videos / "bikes.mp4")["signals"]
    assert 0 < signals["luma"] < 1
    assert signals["change"] > 0
    still = np.full((10, 10, 3), 7, np.uint8)
    assert measure([still] * 5)["change"] == 0
