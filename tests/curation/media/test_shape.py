from __future__ import annotations

import io
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.cascade import margins_of
from curation.filters import Margins, parse
from curation.media import shape
from curation.media.cut import cut
from curation.media.records import Finish, ScanRequest
from curation.media.scan import scan

from .. import footage

PIXELS = 10**8
CROP = {"letterbox": {"crop": True}}
share = st.floats(0, 0.49)


@settings(max_examples=50)
@given(st.integers(4, 4000), st.integers(4, 4000), st.tuples(share, share, share, share))
def test_a_box_is_even_and_inside_its_margins(width: int, height: int, margins: Margins) -> None:
    """A box lies in the picture, on even pixels where a side loses something, inside the margins."""
    left, top, right, bottom = shape.box(width, height, margins)
    for first, last, side, before, after in (
        (left, right, width, *margins[2:]),
        (top, bottom, height, *margins[:2]),
    ):
        assert 0 <= first < last <= side
        if before or after:
            assert first % 2 == last % 2 == 0
            if last - first > 2:
                assert before * side - 0.01 <= first <= before * side + 2
                assert (1 - after) * side - 2 <= last <= (1 - after) * side + 0.01


@pytest.mark.parametrize(
    ("size", "ratio", "shown"),
    [
        ((720, 576), Fraction(64, 45), (1024, 576)),
        ((720, 480), Fraction(10, 11), (654, 480)),
        ((320, 180), Fraction(1281, 1280), (320, 180)),
        ((640, 360), None, (640, 360)),
        ((640, 360), Fraction(1, 100), (640, 360)),
    ],
)
def test_pixels_become_square(size: tuple[int, int], ratio: Fraction | None, shown: tuple[int, int]) -> None:
    """Wide and narrow pixels change the columns; rounded sizes and absurd ratios change nothing."""
    assert shape.square(*size, ratio) == shown


def test_wide_pixels_are_judged_and_cut_as_they_are_shown(tmp_path: Path, shots: footage.Pictures) -> None:
    """Of a film stored half as wide, scores, size and clip are those of the picture that players show."""
    narrow = footage.fitted(shots[:25], 320, 272)
    path = footage.write(tmp_path / "a.mp4", narrow, options={"x264-params": "sar=2/1"})
    (clip,) = scan(path, ScanRequest(filters=parse(["aspect_ratio"])), PIXELS).clips
    assert (clip["width"], clip["height"]) == (640, 272)
    assert clip["scores"]["aspect_ratio_ratio"] == pytest.approx(640 / 272)
    made = cut(path, "video", 0.0, 1.0, 25, PIXELS)
    with av.open(io.BytesIO(made.data)) as container:
        assert container.streams.video[0].sample_aspect_ratio in (None, 1)
    found = footage.read(io.BytesIO(made.data))
    assert (len(found), found[0].shape) == (25, (272, 640, 3))
    assert footage.psnr(found[10], footage.fitted([narrow[10]], 640, 272)[0]) > 33


@pytest.fixture
def barred(tmp_path: Path, shots: footage.Pictures) -> Path:
    """A film of 640x272 in the middle of 640x360: bars of 44 lines above and below."""
    return footage.write(tmp_path / "barred.mp4", [np.pad(s, ((44, 44), (0, 0), (0, 0))) for s in shots[:25]])


def test_a_letterboxed_clip_is_judged_and_published_without_its_bars(
    barred: Path, shots: footage.Pictures
) -> None:
    """With `crop`, what was rejected for its bars is kept, and all other filters see the picture alone."""
    others = ["resolution", "aspect_ratio", "quality", "exposure", "motion"]
    (plain,) = scan(barred, ScanRequest(filters=parse(["letterbox", *others]), score_all=True), PIXELS).clips
    filters = parse([CROP, *others])
    (clip,) = scan(barred, ScanRequest(filters=filters, score_all=True), PIXELS).clips
    assert (plain["filter"], plain["width"], plain["height"]) == ("letterbox", 640, 360)
    assert (clip["width"], clip["height"]) == (640, 272)
    assert clip["scores"]["aspect_ratio_ratio"] == pytest.approx(640 / 272)
    assert clip["scores"]["exposure_luma"] > 1.2 * plain["scores"]["exposure_luma"]
    assert clip["fingerprint"] != plain["fingerprint"]
    margins = margins_of(filters, "video", clip["scores"])
    assert margins == (44 / 360, 44 / 360, 0, 0)
    made = cut(barred, "video", 0.0, clip["end_s"], 25, PIXELS, Finish(margins))
    found = footage.read(io.BytesIO(made.data))
    assert (made.copied, len(found), found[0].shape) == (False, 25, (272, 640, 3))
    assert footage.psnr(found[3], shots[3]) > 33


def test_a_letterboxed_picture_is_cropped(tmp_path: Path, images: Path) -> None:
    """An image loses its bars, too; one without any keeps its bytes."""
    from PIL import Image

    photo = np.asarray(Image.open(images / "coffee.png").convert("RGB"))
    path = tmp_path / "barred.png"
    Image.fromarray(np.pad(photo, ((60, 60), (0, 0), (0, 0)))).save(path)
    filters = parse([CROP])
    for source, copied in ((path, False), (images / "coffee.png", True)):
        (clip,) = scan(source, ScanRequest(filters=filters), PIXELS).clips
        finish = Finish(margins_of(filters, "image", clip["scores"]))
        made = cut(source, "image", 0, 0, 1, PIXELS, finish)
        found = np.asarray(Image.open(io.BytesIO(made.data)).convert("RGB"))
        assert (clip["filter"], made.copied) == (None, copied)
        assert (clip["height"], clip["width"]) == found.shape[:2] == photo.shape[:2]
        np.testing.assert_array_equal(found, photo)
