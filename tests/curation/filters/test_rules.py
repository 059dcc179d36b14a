"""Each rule on real media and on variants whose defect is known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from curation.filters import parse
from curation.media.records import ClipRecord, ScanRequest
from curation.media.scan import scan

from .. import footage

PHOTOS = ("astronaut.png", "camera.png", "chelsea.png", "coffee.png", "rocket.jpg", "motorcycle_left.png")


def judged(path: Path, rule: str, **fields: Any) -> ClipRecord:
    """The first clip's verdict by one rule."""
    request = ScanRequest(filters=parse([{rule: fields}]))
    return scan(path, request, 10**8).clips[0]


def saved(path: Path, pixels: Any) -> Path:
    """Pixels as a PNG."""
    Image.fromarray(np.asarray(pixels, np.uint8)).save(path)
    return path


def photo(images: Path, name: str) -> Any:
    """[H,W,3] of a real picture."""
    return np.asarray(Image.open(images / name).convert("RGB"))


def test_tiny_pictures_are_too_small(images: Path) -> None:
    """A 102-pixel picture is rejected by resolution, a 512-pixel one is not."""
    assert judged(images / "microaneurysms.png", "resolution")["reason"] == "too_small"
    assert judged(images / "astronaut.png", "resolution")["reason"] is None


def test_banners_are_too_wide(tmp_path: Path, images: Path) -> None:
    """A strip four times as wide as high is rejected, and so is one that stands."""
    strip = photo(images, "astronaut.png")[:128]
    assert judged(saved(tmp_path / "a.png", strip), "aspect_ratio")["reason"] == "too_wide"
    assert judged(saved(tmp_path / "b.png", strip.transpose(1, 0, 2)), "aspect_ratio")["reason"] == "too_tall"


def test_length_is_that_of_the_clip(videos: Path) -> None:
    """A shot of 1.2 s is too short; a picture has no length to judge."""
    clip = judged(videos / "bikes.mp4", "duration")
    assert (clip["reason"], clip["scores"]["duration_seconds"]) == ("too_short", pytest.approx(1.2))


@pytest.mark.parametrize("name", ["bikes", "bigbuckbunny", "carphone_pristine"])
def test_real_clips_move(videos: Path, name: str) -> None:
    """No real clip is taken for static."""
    assert judged(videos / f"{name}.mp4", "motion")["reason"] is None


def test_a_tripod_shot_of_a_photograph_is_static(tmp_path: Path, images: Path) -> None:
    """A still picture with sensor noise and compression is rejected as static."""
    still = footage.noisy_still(photo(images, "astronaut.png"), 50)
    clip = judged(footage.write(tmp_path / "still.mp4", still), "motion")
    assert clip["reason"] == "static"


def test_motion_is_the_same_at_any_size(tmp_path: Path, images: Path) -> None:
    """A pan of a known speed scores that speed, in percent of the diagonal a second, large and small."""
    wide = cv2.resize(photo(images, "rocket.jpg"), (1280, 854))
    pan = [wide[100:740, 4 * i : 4 * i + 960] for i in range(50)]
    truth = 100 * 4 * 25 / np.hypot(960, 640)
    for width, height in ((960, 640), (480, 320)):
        path = footage.write(tmp_path / f"{width}.mp4", footage.fitted(pan, width, height))
        assert judged(path, "motion")["scores"]["motion_mean_flow"] == pytest.approx(truth, rel=0.1)


@pytest.mark.parametrize("name", PHOTOS)
def test_photographs_pass_and_their_ruins_do_not(tmp_path: Path, images: Path, name: str) -> None:
    """A photograph passes quality; blurred, noisy and blocky it does not, each for its own reason."""
    original = photo(images, name)[:640, :640]  # at its own size: shrinking hides what JPEG did
    assert judged(images / name, "quality")["reason"] is None
    random = np.random.default_rng(0)
    jpeg = cv2.imencode(".jpg", original[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 8])[1]
    ruins = {
        "blurred": cv2.GaussianBlur(original, (0, 0), 3),
        "noisy": np.clip(original + random.normal(0, 45, original.shape[:2])[..., None], 0, 255),
        "compressed": cv2.imdecode(jpeg, cv2.IMREAD_COLOR)[..., ::-1],
    }
    for reason, pixels in ruins.items():
        assert judged(saved(tmp_path / f"{reason}.png", pixels), "quality")["reason"] == reason


def test_a_ruined_video_is_told_from_its_original(videos: Path) -> None:
    """Of the near-duplicate pair, the original passes quality and the compressed copy does not."""
    assert judged(videos / "carphone_pristine.mp4", "quality")["reason"] is None
    assert judged(videos / "carphone_distorted.mp4", "quality")["reason"] == "compressed"


def test_pages_are_text_and_cups_are_not(images: Path) -> None:
    """A printed page and a handwritten one are rejected; what detectors take for letters is not."""
    pytest.importorskip("rapidocr_onnxruntime")
    for name in ("page.png", "text.png"):
        assert judged(images / name, "text_overlay")["reason"] == "too_much_text", name
    for name in ("coffee.png", "coins.png", "horse.png"):
        assert judged(images / name, "text_overlay")["scores"]["text_overlay_text_area"] == 0, name


def test_subtitles_are_measured(tmp_path: Path, videos: Path) -> None:
    """A large title over a real clip is found at about its size."""
    pytest.importorskip("rapidocr_onnxruntime")
    frames = footage.fitted(footage.read(videos / "bigbuckbunny.mp4", 30), 640, 360)
    for frame in frames:
        cv2.putText(frame, "THE LONG WAY HOME", (60, 190), cv2.FONT_HERSHEY_SIMPLEX, 1.6, (255, 255, 255), 4)
    clip = judged(footage.write(tmp_path / "title.mp4", frames), "text_overlay")
    assert 0.05 < clip["scores"]["text_overlay_text_area"] < 0.2
