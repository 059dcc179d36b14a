from __future__ import annotations

import io
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from curation.errors import MediaError
from curation.media.cut import cut
from curation.media.picture import read as read_picture
from curation.media.records import ScanRequest
from curation.media.scan import scan
from curation.split import SplitConfig

from .. import footage

PIXELS = 10**8


def test_a_whole_h264_file_keeps_its_bytes(videos: Path) -> None:
    """A clip that is all of an upright H.264 mp4 without sound is that file, byte for byte."""
    path = videos / "bikes.mp4"
    assert cut(path, "video", 0.0, 10.0, 250, PIXELS) == (path.read_bytes(), "mp4", True, None)


def test_every_clip_is_exact_to_the_frame(videos: Path) -> None:
    """Each clip of a real film has its frames, the first and the last included, and no other."""
    path = videos / "bikes.mp4"
    source = footage.read(path)
    first = 0
    for clip in scan(path, ScanRequest(split=SplitConfig(max_seconds=1)), PIXELS).clips:
        data, form, *_ = cut(path, "video", clip["start_s"], clip["end_s"], clip["num_frames"], PIXELS)
        found = footage.read(io.BytesIO(data))
        assert (form, len(found)) == ("mp4", clip["num_frames"])
        for index in (0, len(found) // 2, len(found) - 1):
            assert footage.psnr(found[index], source[first + index]) > 36
        first += clip["num_frames"]
    assert first == len(source)


def test_a_cut_begins_where_the_scene_does(videos: Path) -> None:
    """The first frame of a clip after a cut is nearer to the new scene than to the old one."""
    path = videos / "bikes.mp4"
    source = footage.read(path, 40)
    data, *_ = cut(path, "video", 30 / 25, 76 / 25, 46, PIXELS)
    begin = footage.read(io.BytesIO(data))[0]
    assert footage.psnr(begin, source[30]) > footage.psnr(begin, source[29]) + 10


def test_uneven_times_are_kept(uneven: tuple[Path, list[float]]) -> None:
    """A cut of a film with a changing frame rate keeps each frame's distance to the next."""
    path, times = uneven
    data, *_ = cut(path, "video", times[15], times[50], 35, PIXELS)
    found = footage.times(io.BytesIO(data))
    np.testing.assert_allclose(found, np.array(times[15:50]) - times[15], atol=2e-3)


def test_rotation_is_applied(rotated: Path, shots: footage.Pictures) -> None:
    """A clip of a turned film is upright in its pixels, with no turn left in its metadata."""
    (clip,) = scan(rotated, ScanRequest(), PIXELS).clips
    assert (clip["width"], clip["height"]) == (640, 272)
    data, *_ = cut(rotated, "video", clip["start_s"], clip["end_s"], clip["num_frames"], PIXELS)
    with av.open(io.BytesIO(data)) as container:
        frame = next(container.decode(video=0))
    assert (frame.width, frame.height, frame.rotation) == (640, 272, 0)
    assert footage.psnr(frame.to_ndarray(format="rgb24"), shots[0]) > 30


@pytest.mark.parametrize(("codec", "suffix"), [("ffv1", ".mkv"), ("libx264", ".mkv"), ("mpeg4", ".avi")])
def test_other_formats_become_h264(tmp_path: Path, shots: footage.Pictures, codec: str, suffix: str) -> None:
    """Clips of other codecs and containers are H.264 in mp4, whole or in part, with even sides."""
    path = footage.write(
        tmp_path / f"a{suffix}", footage.fitted(shots[:20], 321 - (codec != "ffv1"), 136), codec=codec
    )
    for start, count in ((0.0, 20), (0.2, 10)):
        data, form, *_ = cut(path, "video", start, start + count / 25, count, PIXELS)
        with av.open(io.BytesIO(data)) as container:
            stream = container.streams.video[0]
            assert (form, stream.codec_context.name, stream.codec_context.pix_fmt) == (
                "mp4",
                "h264",
                "yuv420p",
            )
            assert (stream.width, stream.frames) == (320, count)
            assert not container.streams.audio


def test_too_few_frames_are_an_error(videos: Path) -> None:
    """A clip that the file does not hold is an error, not a shorter clip."""
    with pytest.raises(MediaError) as caught:
        cut(videos / "bikes.mp4", "video", 9.0, 12.0, 75, PIXELS)
    assert caught.value.slug == "truncated"


def test_plain_pictures_keep_their_bytes(images: Path) -> None:
    """A plain PNG or JPEG is kept as it is."""
    for name, form in (("coffee.png", "png"), ("rocket.jpg", "jpeg")):
        assert cut(images / name, "image", 0, 0, 1, PIXELS) == (
            (images / name).read_bytes(),
            form,
            True,
            None,
        )


def test_other_pictures_become_png(turned_photo: Path, images: Path) -> None:
    """A turned photograph, a palette, transparency or an old format become a plain PNG of what is seen."""
    for path in (
        turned_photo,
        images / "multipage.tif",
        images / "no_time_for_that_tiny.gif",
        images / "logo.png",
    ):
        data, form, *_ = cut(path, "image", 0, 0, 1, PIXELS)
        found = Image.open(io.BytesIO(data))
        assert (form, found.format, found.mode) == ("png", "PNG", "RGB")
        np.testing.assert_array_equal(np.asarray(found), read_picture(path, PIXELS))
