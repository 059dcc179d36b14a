from __future__ import annotations

import random
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from curation.errors import MediaError
from curation.media import decode, probe
from curation.media.records import ScanRequest, ScanResult
from curation.media.scan import scan

from .. import footage

PIXELS = 64_000_000


def outcome(path: Path) -> str:
    """The slug of a scan's error, or ok."""
    try:
        scan(path, ScanRequest(), PIXELS)
    except MediaError as error:
        return error.slug
    return "ok"


def video(path: Path) -> ScanResult:
    """The scan of a good file."""
    return scan(path, ScanRequest(), PIXELS)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.995])
def test_a_truncated_mp4_is_truncated(tmp_path: Path, videos: Path, share: float) -> None:
    """An mp4 that ends early is an error wherever it ends."""
    data = (videos / "bikes.mp4").read_bytes()
    path = tmp_path / "cut.mp4"
    path.write_bytes(data[: int(len(data) * share)])
    assert outcome(path) == "truncated"


def test_an_mp4_with_its_index_in_front_may_not_lack_frames(tmp_path: Path, shots: footage.Pictures) -> None:
    """With the index in front a shortened file decodes without complaint, and still is truncated."""
    whole = footage.write(tmp_path / "whole.mp4", shots, options={"movflags": "faststart", "g": "10"})
    data = whole.read_bytes()
    path = tmp_path / "cut.mp4"
    at = data.index(b"mdat") - 4
    kept = at + (len(data) - at) * 2 // 3
    path.write_bytes(data[:at] + (kept - at).to_bytes(4, "big") + data[at + 4 : kept])
    assert outcome(path) in {"truncated", "undecodable"}


@pytest.mark.parametrize("suffix", [".avi", ".mkv", ".webm", ".mpg", ".ts", ".mov"])
def test_other_containers_are_read(tmp_path: Path, shots: footage.Pictures, suffix: str) -> None:
    """Common containers give all their frames."""
    codecs = {".avi": "mpeg4", ".webm": "libvpx-vp9", ".mpg": "mpeg2video"}
    options = {"cpu-used": "8", "deadline": "realtime"} if suffix == ".webm" else {}
    path = footage.write(
        tmp_path / f"film{suffix}", shots[:25], codec=codecs.get(suffix, "libx264"), options=options
    )
    (clip,) = video(path).clips
    assert (clip["num_frames"], clip["width"], clip["height"]) == (25, 640, 272)


@pytest.mark.parametrize("suffix", [".avi", ".mkv"])
def test_other_containers_may_not_end_early(tmp_path: Path, shots: footage.Pictures, suffix: str) -> None:
    """An AVI or Matroska file that ends early is an error."""
    path = footage.write(tmp_path / f"film{suffix}", shots, codec="mpeg4")
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    assert outcome(path) in {"truncated", "undecodable"}


def test_flipped_bits_are_never_a_score(tmp_path: Path, videos: Path) -> None:
    """Of real files with random bits flipped, none is judged with fewer frames or with damaged ones."""
    data = (videos / "carphone_pristine.mp4").read_bytes()
    flips = random.Random(1)
    path = tmp_path / "flipped.mp4"
    outcomes = []
    for _ in range(30):
        damaged = bytearray(data)
        for _ in range(20):
            damaged[flips.randrange(len(damaged))] ^= 1 << flips.randrange(8)
        path.write_bytes(damaged)
        outcomes.append(outcome(path))
    assert set(outcomes) <= {"truncated", "undecodable", "not_media", "too_many_pixels"}


def test_times_are_those_of_the_frames(uneven: tuple[Path, list[float]]) -> None:
    """With a changing frame rate, times come from the stamps, not from counting."""
    path, times = uneven
    with probe.open_video(path, PIXELS) as (container, stream):
        found = [time for time, _ in decode.frames(container, stream)]
    assert found == pytest.approx(times, abs=1e-3)
    clips = video(path).clips
    assert clips[1]["start_s"] == pytest.approx(times[30], abs=1e-3)


def test_an_edit_list_hides_frames_lawfully(tmp_path: Path, shots: footage.Pictures) -> None:
    """Frames that a container says not to show are not missed."""
    import av

    source = footage.write(tmp_path / "whole.mp4", shots, options={"bf": "0", "g": "60"})
    path = tmp_path / "trimmed.mp4"
    with av.open(str(source)) as read, av.open(str(path), "w") as out:
        stream = out.add_stream_from_template(read.streams.video[0])
        for packet in read.demux(video=0):
            if packet.dts is None:
                continue
            packet.pts -= 10 * 512
            packet.dts -= 10 * 512
            packet.stream = stream
            out.mux(packet)
    (clip, *_) = video(path).clips
    assert sum(c["num_frames"] for c in video(path).clips) in {50, 60}
    assert clip["start_s"] >= 0


def test_a_change_of_size_is_an_error(tmp_path: Path, shots: footage.Pictures) -> None:
    """A stream whose frames change their size within cannot be one clip."""
    small = footage.fitted(shots[:10], 320, 136)
    data = footage.write(tmp_path / "a.ts", shots[:10]).read_bytes()
    data += footage.write(tmp_path / "b.ts", small).read_bytes()
    path = tmp_path / "both.ts"
    path.write_bytes(data)
    assert outcome(path) == "undecodable"


def test_stamps_in_another_order_than_the_pictures_give_rising_times() -> None:
    """Stamps of packed B-frames go back now and then; times rise by more than rounding, and stay close."""
    stream = SimpleNamespace(time_base=Fraction(1, 30), start_time=0, average_rate=Fraction(30))
    clock, stamps = decode._Clock(stream), (1, 2, 3, 5, 4, 6, 8, 7, 9, 11, 10, 12)
    times = [clock.time(SimpleNamespace(pts=stamp, duration=1)) for stamp in stamps]
    assert min(np.diff(times)) > 1 / 60
    assert np.abs(np.array(times) - np.arange(1, 13) / 30).max() < 2.5 / 30
