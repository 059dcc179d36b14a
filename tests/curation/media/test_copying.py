from __future__ import annotations

import io
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from curation.media import decode
from curation.media.copying import copied
from curation.media.cut import cut

from .. import footage

PIXELS = 10**8
QUICK = settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
SHORT = "keyint=12:min-keyint=12:scenecut=0"  # five groups of pictures in sixty frames
Shown = list[tuple[float, np.ndarray[Any, Any]]]


def shown(path: Path | io.BytesIO) -> Shown:
    """Time and pixels, as decoded, of each frame."""
    with av.open(path) as container:
        stream = container.streams.video[0]
        return [(time, frame.to_ndarray()) for time, frame in decode.frames(container, stream)]


Make = Callable[..., Path]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, shots: footage.Pictures) -> Make:
    """Write the shots as a file of this name, once."""
    folder = tmp_path_factory.mktemp("copying")

    @cache
    def make(name: str, codec: str, **options: str) -> Path:
        return footage.write(folder / name, footage.fitted(shots, 320, 136), codec=codec, options=options)

    return make


def same(data: bytes, source: Shown) -> bool:
    """Whether a clip shows exactly these frames, from 0 on, each as long as before."""
    found = shown(io.BytesIO(data))
    assert len(found) == len(source)
    np.testing.assert_allclose([t for t, _ in found], [t - source[0][0] for t, _ in source], atol=1e-3)
    return all(np.array_equal(a, b) for (_, a), (_, b) in zip(found, source, strict=True))


@cache
def film(path: Path) -> Shown:
    """A file's frames, decoded once for all spans."""
    return shown(path)


@QUICK
@given(st.data())
@pytest.mark.parametrize("name", ["closed.mp4", "closed.mkv", "closed.ts", "open.mp4", "refresh.mkv"])
def test_what_is_copied_is_the_source(made: Make, name: str, data: st.DataObject) -> None:
    """Whatever the span, a copy has its frames bit for bit and no other, or there is no copy."""
    special = {"open.mp4": ":open-gop=1", "refresh.mkv": ":intra-refresh=1"}.get(name, "")
    path = made(name, "libx264", **{"x264-params": f"{SHORT}:bframes=3:b-adapt=0{special}"})
    frames = film(path)
    first = data.draw(st.one_of(st.sampled_from(range(0, 60, 12)), st.integers(0, 59)))
    last = data.draw(
        st.one_of(st.sampled_from([12, 24, 36, 48, 60]), st.integers(1, 60)).filter(lambda n: n > first)
    )
    end = frames[last][0] if last < 60 else frames[-1][0] + 0.04
    clip = copied(path, frames[first][0], end, last - first, PIXELS)
    assert clip is None or same(clip, frames[first:last])
    if name.startswith("closed") and first % 12 == last % 12 == 0:
        assert clip is not None
    if first % 12 and not special:
        assert clip is None


@pytest.mark.parametrize(
    ("name", "codec", "options"),
    [
        ("a.mp4", "libx265", {"x265-params": f"{SHORT}:open-gop=0:log-level=none", "preset": "ultrafast"}),
        ("b.webm", "libvpx-vp9", {"g": "12", "deadline": "realtime", "cpu-used": "8"}),
    ],
)
def test_newer_codecs_are_copied(made: Make, name: str, codec: str, options: dict[str, str]) -> None:
    """Groups of pictures of HEVC and VP9 are copied, too."""
    path = made(name, codec, **options)
    clip = copied(path, 0.48, 1.44, 24, PIXELS)
    assert clip is not None
    assert same(clip, film(path)[12:36])


def test_real_scenes_are_copied(videos: Path) -> None:
    """Encoders begin scenes with key frames: three of a real film's scenes are copied, and cut says so."""
    path = videos / "bikes.mp4"
    frames = film(path)
    for first, last in ((30, 76), (76, 137), (137, 187)):
        clip = cut(path, "video", first / 25, last / 25, last - first, PIXELS)
        assert clip.copied
        assert same(clip.data, frames[first:last])


def test_changing_frame_rates_are_copied(tmp_path: Path, shots: footage.Pictures) -> None:
    """A copied clip of a film with uneven frame distances keeps each of them."""
    times = np.cumsum([0.0] + [0.04, 0.1, 0.02] * 20).tolist()[:60]
    path = footage.write(tmp_path / "uneven.mp4", shots, at=times, options={"x264-params": SHORT})
    clip = copied(path, times[12], times[48], 36, PIXELS)
    assert clip is not None
    assert same(clip, film(path)[12:48])


@pytest.mark.parametrize("how", ["turned", "deep", "wide pixels", "avi"])
def test_what_readers_would_show_wrongly_is_not_copied(
    tmp_path: Path, shots: footage.Pictures, how: str
) -> None:
    """Turned pictures, more than 8 bits, pixels that are not square, containers without times: encoded."""
    path = footage.write(
        tmp_path / ("a.avi" if how == "avi" else "a.mp4"),
        shots[:24],
        turn=90 * (how == "turned"),
        pix_fmt="yuv420p10le" if how == "deep" else "yuv420p",
        options={"x264-params": SHORT + ":sar=4/3" * (how == "wide pixels"), "preset": "ultrafast"},
    )
    assert copied(path, 0.0, 0.48, 12, PIXELS) is None
