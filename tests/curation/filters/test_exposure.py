"""Black, white, too dark, too bright and washed-out media are told from night and snow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from curation.filters import parse
from curation.media.picture import PictureClip
from curation.media.records import ScanRequest
from curation.media.scan import scan
from curation.split import SplitConfig

from .. import footage

PHOTOS = ("astronaut.png", "camera.png", "chelsea.png", "coffee.png", "rocket.jpg", "motorcycle_left.png")
(EXPOSURE,) = parse(["exposure"])


def reason(pixels: Any) -> str | None:
    """The verdict on [H,W,3]."""
    return EXPOSURE.judge(PictureClip(np.clip(pixels, 0, 255).astype(np.uint8))).reason


def photo(images: Path, name: str) -> Any:
    """[H,W,3] as floats."""
    return np.asarray(Image.open(images / name).convert("RGB")).astype(np.float32)


@pytest.mark.parametrize("name", [*PHOTOS, "hubble_deep_field.jpg", "retina.jpg"])
def test_photographs_pass(images: Path, name: str) -> None:
    """Real pictures pass: a rocket at night, stars and an eye on black among them."""
    assert reason(photo(images, name)) is None


@pytest.mark.parametrize("name", PHOTOS)
def test_what_no_editor_would_leave_is_rejected(images: Path, name: str) -> None:
    """A fifth of the light, half the range lifted into white, a quarter of the contrast: each is rejected."""
    picture = photo(images, name)
    assert reason(picture * 0.2) == "too_dark"
    assert reason(picture + 130) in ("too_bright", "overexposed", "washed_out")
    assert reason(picture * 0.25 + 70) in ("washed_out", "too_bright")


def test_black_and_white_frames_are_rejected() -> None:
    """A lens cap and a blank page are rejected, each by its name."""
    assert reason(np.full((90, 160, 3), 3.0)) == "too_dark"
    assert reason(np.full((90, 160, 3), 250.0)) == "too_bright"


def test_a_fade_does_not_decide(tmp_path: Path, videos: Path) -> None:
    """A real clip that fades in from black for a third of its length passes."""
    frames = footage.fitted(footage.read(videos / "bigbuckbunny.mp4", 75), 320, 180)
    faded = [(frame * min(1.0, index / 25)).astype(np.uint8) for index, frame in enumerate(frames)]
    request = ScanRequest(split=SplitConfig(method="none"), filters=(EXPOSURE,))
    assert scan(footage.write(tmp_path / "fade.mp4", faded), request, 10**8).clips[0]["reason"] is None
