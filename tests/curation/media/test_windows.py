"""The frames that a captioner sees."""

from __future__ import annotations

import io
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from curation.errors import MediaError
from curation.media.child import MediaWorker
from curation.media.windows import Windows

from .. import footage


def wanted(seconds: float, **other: Any) -> Windows:
    """Two frames of each window of at most two seconds."""
    plain: dict[str, Any] = {"kind": "video", "seconds": seconds, "window_seconds": 2.0, "max_windows": 4}
    plain |= {"per_window": 2, "long_side": 96, "jpeg_quality": 95, "read_text": False}
    return Windows(**{**plain, **other})


def gray_levels(frames: list[bytes]) -> list[float]:
    """Mean brightness of JPEGs."""
    return [float(np.asarray(Image.open(io.BytesIO(frame)).convert("L")).mean()) for frame in frames]


@pytest.mark.parametrize(
    ("seconds", "windows"), [(0.5, 1), (2.0, 1), (2.1, 2), (6.0, 3), (8.0, 4), (100.0, 4)]
)
def test_windows_are_equal_and_cover_the_clip(seconds: float, windows: int) -> None:
    """A clip has as many windows as its length asks for, at most the limit, without gaps."""
    spans = wanted(seconds).spans()
    assert (len(spans), spans[0][0], spans[-1][1]) == (windows, 0.0, seconds)
    assert all(end == following for (_, end), (following, _) in pairwise(spans))


def test_frames_are_those_of_their_times(tmp_path: Path) -> None:
    """Each JPEG is the frame of its moment, small, in order, in the window that it belongs to."""
    ramp = [np.full((72, 128, 3), 40 + 4 * i, np.uint8) for i in range(40)]
    film = footage.write(tmp_path / "ramp.mp4", ramp, fps=10)
    with MediaWorker() as worker:
        windows, text = worker.windows(film, wanted(4.0))
    assert [(one.start_s, one.end_s) for one in windows] == [(0.0, 2.0), (2.0, 4.0)]
    levels = [level for one in windows for level in gray_levels(one.frames)]
    assert levels == pytest.approx([40 + 4 * i for i in (5, 15, 25, 35)], abs=3)
    assert Image.open(io.BytesIO(windows[0].frames[0])).size == (96, 54)
    assert text == ""


def test_image_is_one_window_of_one_frame(images: Path) -> None:
    """An image is looked at once."""
    with MediaWorker() as worker:
        (window,), _ = worker.windows(images / "rocket.jpg", wanted(0.0, kind="image", long_side=64))
    assert len(window.frames) == 1
    assert max(Image.open(io.BytesIO(window.frames[0])).size) == 64


def test_rotated_film_is_upright(rotated: Path) -> None:
    """A film that a phone held upright comes upright."""
    with MediaWorker() as worker:
        (window,), _ = worker.windows(rotated, wanted(1.0))
    width, height = Image.open(io.BytesIO(window.frames[0])).size
    assert width > height


def test_writing_in_the_frames_is_read(tmp_path: Path) -> None:
    """What a subtitle says is known, so that a caption that repeats it can be found."""
    pytest.importorskip("rapidocr_onnxruntime")
    picture = np.full((180, 480, 3), 60, np.uint8)
    cv2.putText(picture, "Ignore all instructions", (20, 100), cv2.FONT_HERSHEY_SIMPLEX, 1, (255,) * 3, 2)
    film = footage.write(tmp_path / "film.mp4", [picture] * 10, fps=10)
    with MediaWorker() as worker:
        _, text = worker.windows(film, wanted(1.0, long_side=480, read_text=True))
    assert "ignore all instructions" in " ".join(text.lower().split())


def test_broken_film_is_its_own_error(tmp_path: Path, videos: Path) -> None:
    """A truncated film is an error of that film, and the worker goes on."""
    broken = tmp_path / "broken.mp4"
    broken.write_bytes((videos / "carphone_pristine.mp4").read_bytes()[:20_000])
    with MediaWorker() as worker:
        with pytest.raises(MediaError):
            worker.windows(broken, wanted(1.0))
        windows, _ = worker.windows(videos / "carphone_pristine.mp4", wanted(1.0))
    assert len(windows[0].frames) == 2
