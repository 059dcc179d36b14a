from __future__ import annotations

from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from curation.media import planes
from curation.media.scene_view import SceneView

from .. import footage


def first(path: Path) -> av.VideoFrame:
    """A file's first frame."""
    with av.open(str(path)) as container:
        return next(container.decode(video=0))


@pytest.mark.parametrize("name", ["bikes", "bigbuckbunny", "carphone_pristine"])
def test_grey_equals_swscale(videos: Path, name: str) -> None:
    """At full size, grey from the luma plane is what FFmpeg's own conversion gives, bit for bit."""
    frame = first(videos / f"{name}.mp4")
    found = planes.Pyramid(frame).gray((frame.width, frame.height))
    np.testing.assert_array_equal(found, frame.to_ndarray(format="gray"))


def test_stretching_is_rounding_to_the_nearest() -> None:
    """Each level of video luma becomes the nearest of 0-255, black and white and beyond."""
    levels = np.arange(256, dtype=np.uint8)[None]
    wanted = np.clip((np.arange(256) - 16) * 255 / 219 + 0.5, 0, 255).astype(np.uint8)
    np.testing.assert_array_equal(planes.stretched(levels)[0], wanted)


@pytest.mark.parametrize(
    "pix_fmt", ["yuv420p", "yuv422p", "yuv444p", "yuvj420p", "yuv420p10le", "yuv444p12le"]
)
def test_colours_are_right_in_each_format(tmp_path: Path, shots: footage.Pictures, pix_fmt: str) -> None:
    """Whatever the pixel format, the small colour picture is the source's, reduced."""
    codec, suffix = ("mjpeg", "avi") if pix_fmt == "yuvj420p" else ("ffv1", "mkv")
    options = {"q:v": "2"} if codec == "mjpeg" else {}
    path = footage.write(
        tmp_path / f"a.{suffix}", shots[40:42], codec=codec, pix_fmt=pix_fmt, options=options
    )
    found = planes.Pyramid(first(path)).rgb((160, 68))
    truth = cv2.resize(shots[40], (160, 68), interpolation=cv2.INTER_AREA)
    assert np.abs(found.astype(int) - truth).mean() < 4


def test_full_size_colour_is_near_swscale(videos: Path) -> None:
    """At full size, colours are within rounding of FFmpeg's own."""
    frame = first(videos / "bikes.mp4")
    found = planes.Pyramid(frame).rgb((frame.width, frame.height)).astype(int)
    assert np.abs(found - frame.to_ndarray(format="rgb24")).mean() < 2


@pytest.mark.parametrize(("width", "height"), [(63, 49), (33, 17), (16, 2), (4, 64), (128, 1)])
def test_odd_and_tiny_frames_work(tmp_path: Path, shots: footage.Pictures, width: int, height: int) -> None:
    """Frames with odd sides, and frames a few pixels high, are no special case."""
    small = footage.fitted(shots[:2], width, height)
    frame = first(footage.write(tmp_path / "a.mkv", small, codec="ffv1", pix_fmt="yuv420p"))
    assert planes.Pyramid(frame).rgb((8, 8)).shape == (8, 8, 3)
    assert planes.Pyramid(frame).gray((width, height)).shape == (height, width)
    assert SceneView(1)(frame).size > 0
