"""The codec_motion rule on one real pan and one still, by several encoders."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from curation.cascade import Cascade
from curation.filters import parse
from curation.media.records import ClipRecord, ScanRequest
from curation.media.scan import scan

from .. import footage

RULE = parse(["codec_motion"])
WITH_VECTORS = {
    "h264": ("libx264", "mp4", {}),
    "h264 without B": ("libx264", "mp4", {"bf": "0", "refs": "1"}),
    "h264 many B": ("libx264", "mkv", {"bf": "7", "preset": "slow"}),
    "mpeg4": ("mpeg4", "mkv", {}),
    "mpeg2": ("mpeg2video", "mpg", {}),
}
WITHOUT = {
    "hevc": ("libx265", "mp4", {"x265-params": "log-level=none", "preset": "ultrafast"}),
    "vp9": ("libvpx-vp9", "webm", {"cpu-used": "8", "deadline": "realtime"}),
    "intra": ("libx264", "mp4", {"g": "1"}),
    "mjpeg": ("mjpeg", "mkv", {}),
}


@pytest.fixture(scope="module")
def pan(images: Path) -> footage.Pictures:
    """A camera moving over a photograph by 3 of 400 pixels a frame, at 25 a second."""
    photo = np.asarray(Image.open(images / "coffee.png").convert("RGB"))
    return [np.ascontiguousarray(photo[60:300, 3 * i : 3 * i + 320]) for i in range(30)]


def judged(path: Path, **more: Any) -> ClipRecord:
    """The only clip's verdict."""
    (clip,) = scan(path, ScanRequest(filters=RULE, **more), 10**8).clips
    return clip


def written(folder: Path, pictures: footage.Pictures, codec: str, suffix: str, options: Any) -> Path:
    """A file of one encoder."""
    fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    return footage.write(folder / f"a.{suffix}", pictures, codec=codec, pix_fmt=fmt, options=options)


@pytest.mark.parametrize("encoder", WITH_VECTORS)
def test_speed_is_that_of_the_pan(tmp_path: Path, pan: footage.Pictures, encoder: str) -> None:
    """Whatever the encoder and its order of frames, a pan scores its speed, to a third."""
    scores = judged(written(tmp_path, pan, *WITH_VECTORS[encoder]))["scores"]
    assert scores["codec_motion_speed"] == pytest.approx(100 * 3 * 25 / 400, rel=0.33)
    assert scores["codec_motion_frames"] >= 6


@pytest.mark.parametrize("encoder", [name for name in WITH_VECTORS if "h264" in name])
def test_a_still_is_static(tmp_path: Path, pan: footage.Pictures, encoder: str) -> None:
    """A still picture made a video is rejected, by its vectors alone."""
    clip = judged(written(tmp_path, pan[:1] * 30, *WITH_VECTORS[encoder]))
    assert (clip["filter"], clip["reason"]) == ("codec_motion", "static")


@pytest.mark.parametrize("encoder", WITHOUT)
def test_without_vectors_nothing_is_judged(tmp_path: Path, pan: footage.Pictures, encoder: str) -> None:
    """Where the codec gives no vectors a clip passes, even a still one, and no score says that it moved."""
    clip = judged(written(tmp_path, pan[:1] * 20, *WITHOUT[encoder]))
    assert clip["filter"] is None
    assert clip["scores"] == {"codec_motion_frames": 0.0}


def test_each_clip_has_its_own_vectors(tmp_path: Path, pan: footage.Pictures) -> None:
    """Of a still shot and a pan in one file, the first is rejected and the second is not."""
    dark = [255 - picture for picture in pan]
    path = footage.write(tmp_path / "a.mp4", pan[:1] * 25 + dark)
    clips = scan(path, ScanRequest(filters=RULE), 10**8).clips
    assert [clip["reason"] for clip in clips] == ["static", None]


def test_missing_scores_are_remembered_as_missing() -> None:
    """A stored clip without vectors is decided again from what is stored; one without any score is not."""
    cascade = Cascade(RULE, score_all=False)
    verdict = cascade.recall("video", {"codec_motion_frames": 0.0}, {"codec_motion"})
    assert verdict is not None
    assert (verdict.filter, verdict.scores) == (None, {"codec_motion_frames": 0.0})
    assert cascade.recall("video", {}, {"codec_motion"}) is None
