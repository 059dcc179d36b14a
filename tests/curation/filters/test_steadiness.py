"""Frozen, flashing, jumping and trembling clips are told from pans, moving subjects and hand-held calm."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.filters import parse
from curation.filters.camera_shake import CameraShake
from curation.filters.static import Static
from curation.media.records import ClipRecord, ScanRequest
from curation.media.sampler import SampledClip
from curation.media.scan import scan
from curation.split import SplitConfig

from .. import footage


@pytest.fixture(scope="module")
def shot(videos: Path) -> footage.Pictures:
    """Two seconds of a real hand-held shot, 25 a second, 320x136."""
    return footage.fitted(footage.read(videos / "bikes.mp4", 192)[142:], 320, 136)


def judged(path: Path, rule: str) -> ClipRecord:
    """A file taken as one clip."""
    request = ScanRequest(split=SplitConfig(method="none"), filters=parse([rule]))
    return scan(path, request, 10**8).clips[0]


def clip(frames: Any, rule: Static | CameraShake, rate: float = 9.2) -> SampledClip:
    """Small grey frames as the sampler would hand them over."""
    samples = {rule.needs[0]: [(index / rate, frame) for index, frame in enumerate(frames)]}
    return SampledClip("video", 640, 360, 25.0, len(frames), 0.0, len(frames) / rate, samples)


def flashing(shot: footage.Pictures, every: int) -> footage.Pictures:
    """Each so-many-th frame is white."""
    return [np.full_like(frame, 255) if i % every == 0 else frame for i, frame in enumerate(shot)]


def shaken(shot: footage.Pictures, percent: float) -> footage.Pictures:
    """The shot through a hand that trembles at 3 to 5 a second, by percent of the diagonal (RMS)."""
    height, width = shot[0].shape[:2]
    times = np.arange(len(shot)) / 25
    waves = [np.sin(2 * np.pi * (3.1 * times + 0.2)), np.sin(2 * np.pi * (4.3 * times + 0.7))]
    size = percent / 100 * np.hypot(width, height)
    zoom = np.array([[1.1, 0, -0.05 * width], [0, 1.1, -0.05 * height]])
    moved = []
    for frame, x, y in zip(shot, *waves, strict=True):
        turn = zoom + np.array([[0, 0, x * size], [0, 0, y * size]])
        moved.append(cv2.warpAffine(frame, turn, (width, height), borderMode=cv2.BORDER_REFLECT))
    return moved


@pytest.mark.parametrize("name", ["bikes", "bigbuckbunny", "carphone_pristine"])
@pytest.mark.parametrize("rule", ["static", "camera_shake", "frame_rate", "exposure"])
def test_real_clips_pass(videos: Path, name: str, rule: str) -> None:
    """No shot of the real clips is frozen, flashing, shaky, too slow or badly lit."""
    clips = scan(videos / f"{name}.mp4", ScanRequest(filters=parse([rule])), 10**8).clips
    assert {one["reason"] for one in clips} - {"too_short"} == {None}


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda shot: [shot[0]] * len(shot), "frozen"),
        (lambda shot: shot[:12] + [shot[12]] * (len(shot) - 12), "frozen"),
        (lambda shot: [shot[25 * (i // 25)] for i in range(len(shot))], "frozen"),
        (lambda shot: flashing(shot, 2), "jitter"),
        (lambda shot: flashing(shot, 4), "jitter"),
        (lambda shot: [255 - f if i % 12 < 6 else f for i, f in enumerate(shot)], "flashing"),
    ],
    ids=["freeze", "freeze late", "one picture a second", "strobe 12.5/s", "strobe 6/s", "slow strobe"],
)
def test_planted_stillness_and_flashes_are_found(
    tmp_path: Path, shot: footage.Pictures, make: Any, reason: str
) -> None:
    """Frozen frames, a slide show and strobes of several rates are rejected in compressed files."""
    path = footage.write(tmp_path / "planted.mp4", make(shot))
    assert judged(path, "static")["reason"] == reason


@pytest.mark.parametrize("percent", [0.8, 1.5])
def test_planted_shake_is_found(tmp_path: Path, shot: footage.Pictures, percent: float) -> None:
    """A hand that trembles over a real shot is rejected."""
    path = footage.write(tmp_path / "shaken.mp4", shaken(shot, percent))
    assert judged(path, "camera_shake")["reason"] == "shaky"


def photograph(images: Path, name: str) -> Any:
    """[H,W] grey."""
    return cv2.cvtColor(cv2.imread(str(images / name)), cv2.COLOR_BGR2GRAY)


def test_a_pan_is_no_shake(images: Path) -> None:
    """A pan that starts, speeds up and stops scores nearly nothing."""
    wide = photograph(images, "rocket.jpg")
    way = 200 * (1 - np.cos(np.pi * np.arange(30) / 29)) / 2
    pan = [cv2.getRectSubPix(wide, (320, 180), (200 + float(x), 200)) for x in way]
    pan = [cv2.resize(frame, (160, 90), interpolation=cv2.INTER_AREA) for frame in pan]
    assert CameraShake().measure(clip(pan, CameraShake()))["shake"] < 0.05


def test_a_subject_that_shakes_is_no_camera(images: Path) -> None:
    """A large subject trembling before a still background leaves the score under the threshold."""
    back = cv2.resize(photograph(images, "coffee.png"), (160, 90))
    cat = cv2.resize(photograph(images, "chelsea.png"), (60, 50))
    frames = []
    for index in range(30):
        frame = back.copy()
        x = 50 + round(6 * np.sin(index * 2.1))
        frame[35:85, x : x + 60] = cat
        frames.append(frame)
    assert CameraShake().judge(clip(frames, CameraShake())).reason is None


def test_shake_is_measured_to_scale(images: Path) -> None:
    """A camera that swings to and fro by a known length scores twice that, less what a parabola follows."""
    wide = cv2.resize(photograph(images, "motorcycle_left.png"), (380, 256), interpolation=cv2.INTER_AREA)
    swing = [cv2.getRectSubPix(wide, (160, 120), (180 + 2.5 * (-1) ** i, 120)) for i in range(24)]
    found = CameraShake().measure(clip(swing, CameraShake()))["shake"]
    follows = 5 / 21  # of a swing at each sample, by the weights of Savitzky and Golay
    assert found == pytest.approx(2 * 2.5 * (1 - follows) / np.hypot(120, 160) * 100, rel=0.05)


@settings(max_examples=25)
@given(st.integers(1, 6), st.integers(2, 8))
def test_flashes_are_counted(count: int, gap: int) -> None:
    """So many white frames among grey ones are so many flashes and so many jumps."""
    frames = np.full((count * (gap + 1) + gap, 90, 160), 90, np.uint8)
    frames[gap :: gap + 1] = 240
    scores = Static().measure(clip(frames, Static()))
    seconds = (len(frames) - 1) / 9.2
    assert scores["flashes"] * seconds == pytest.approx(count, abs=0.51)
    assert scores["jumps"] * seconds == pytest.approx(count)


def test_counted_frames_decide(tmp_path: Path, shot: footage.Pictures) -> None:
    """A file whose frames come at five a second is too slow, whatever rate its header claims."""
    path = footage.write(tmp_path / "slow.mp4", shot[:12], at=[index / 5 for index in range(12)])
    record = judged(path, "frame_rate")
    assert record["reason"] == "too_few_frames"
    assert record["scores"]["frame_rate_fps"] == pytest.approx(5, rel=0.1)
