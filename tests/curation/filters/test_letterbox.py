"""Bars are found to the pixel, whatever shows inside them, and dark pictures have none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curation.filters import parse
from curation.filters.letterbox import bars
from curation.media.records import ScanRequest
from curation.media.scan import scan
from curation.split import SplitConfig

from .. import footage

SIDES = ("top", "bottom", "left", "right")


@pytest.fixture(scope="module")
def shot(videos: Path) -> footage.Pictures:
    """A second and a half of a real shot, 640x272."""
    return footage.read(videos / "bikes.mp4", 180)[142:180]


def painted(pictures: footage.Pictures, sides: tuple[int, int, int, int], colour: Any = 0) -> Any:
    """[T,H,W,3] with bars of so many pixels at top, bottom, left and right."""
    frames = np.array(pictures)
    height, width = frames.shape[1:3]
    top, bottom, left, right = sides
    frames[:, :top] = frames[:, height - bottom :] = colour
    frames[:, :, :left] = frames[:, :, width - right :] = colour
    return frames


def grey(frames: Any) -> Any:
    """[T,H,W] of [T,H,W,3]."""
    return np.array([cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in frames])


def judged(path: Path, **fields: Any) -> tuple[dict[str, float], str | None]:
    """Scores and reason of a file taken as one clip."""
    request = ScanRequest(split=SplitConfig(method="none"), filters=parse([{"letterbox": fields}]))
    clip = scan(path, request, 10**8).clips[0]
    return {name.removeprefix("letterbox_"): value for name, value in clip["scores"].items()}, clip["reason"]


@given(st.tuples(*[st.integers(4, 60)] * 2, *[st.integers(5, 200)] * 2), st.integers(0, 12))
def test_bars_of_any_size_are_measured_to_the_pixel(
    shot: footage.Pictures, sides: tuple[int, int, int, int], black: int
) -> None:
    """Black bars on all four sides are found with their exact sizes."""
    assert bars(grey(painted(shot[::19], sides, black))) == sides


@pytest.mark.parametrize(
    ("sides", "codec", "crf"),
    [((34, 34, 0, 0), "libx264", "30"), ((0, 0, 110, 110), "mpeg4", "0"), ((0, 28, 0, 0), "libx264", "23")],
)
def test_bars_survive_compression(
    tmp_path: Path, shot: footage.Pictures, sides: tuple[int, int, int, int], codec: str, crf: str
) -> None:
    """Letterbox, pillarbox and a bar on one side are found to the pixel in compressed files, and rejected."""
    options = {"crf": crf} if codec == "libx264" else {}
    path = footage.write(tmp_path / "bars.mp4", list(painted(shot, sides)), codec=codec, options=options)
    scores, reason = judged(path)
    found = [scores[side] * size for side, size in zip(SIDES, (272, 272, 640, 640), strict=True)]
    assert found == pytest.approx(sides, abs=1e-6)
    kept = (1 - scores["top"] - scores["bottom"]) * (1 - scores["left"] - scores["right"])
    assert scores["area"] == pytest.approx(1 - kept)
    assert reason == "bars"


def test_subtitles_and_logos_do_not_hide_a_bar(shot: footage.Pictures) -> None:
    """A subtitle in the lower bar and a logo in the upper one leave the bars' sizes as they are."""
    frames = painted(shot[::6], (44, 44, 0, 0))
    for frame in frames:
        cv2.putText(frame, "WHERE WERE YOU LAST NIGHT?", (130, 262), 0, 0.8, (255, 255, 255), 2, cv2.LINE_AA)
        cv2.rectangle(frame, (540, 8), (620, 34), (240, 190, 10), -1)
    assert bars(grey(frames)) == (44, 44, 0, 0)


def test_white_bars_count_in_pairs_only(shot: footage.Pictures) -> None:
    """White bars on both sides are bars; one white edge may be a wall."""
    assert bars(grey(painted(shot[::19], (0, 0, 60, 60), 255))) == (0, 0, 60, 60)
    assert bars(grey(painted(shot[::19], (0, 0, 60, 0), 255))) == (0, 0, 0, 0)


@pytest.mark.parametrize("name", ["bikes", "bigbuckbunny", "carphone_pristine"])
@pytest.mark.parametrize("light", [1.0, 0.3])
def test_real_and_dark_shots_have_no_bars(videos: Path, name: str, light: float) -> None:
    """A real clip has no bars, even if it is as dark as at night."""
    frames = grey(footage.read(videos / f"{name}.mp4", 60)[::20])
    assert bars((frames * light).astype(np.uint8)) == (0, 0, 0, 0)


@pytest.mark.parametrize("name", ["rocket.jpg", "hubble_deep_field.jpg", "moon.png", "horse.png", "page.png"])
def test_night_skies_and_pages_have_no_bars(images: Path, name: str) -> None:
    """Dark skies, a silhouette and a printed page pass."""
    assert judged(images / name)[1] is None


def test_a_planet_in_space_has_no_bars() -> None:
    """A bright disc before pure black has no straight edge."""
    frame = np.zeros((360, 640), np.uint8)
    cv2.circle(frame, (320, 180), 140, 180, -1, cv2.LINE_AA)
    assert bars(frame[None]) == (0, 0, 0, 0)


def test_who_walks_about_a_dark_stage_has_no_bars_beside_them() -> None:
    """What moves before the dark fills whole lines in time, and no edge divides them from the dark."""
    frames = np.zeros((5, 360, 640), np.uint8)
    for index, frame in enumerate(frames):
        cv2.circle(frame, (80 + 120 * index, 200), 100, 180, -1, cv2.LINE_AA)
    assert bars(frames) == (0, 0, 0, 0)


def test_a_caption_card_has_no_bars() -> None:
    """White capitals on black have no bars above and below them."""
    frame = np.zeros((360, 640), np.uint8)
    cv2.putText(frame, "THE END OF THE BEGINNING", (40, 190), 0, 1.3, 255, 4, cv2.LINE_AA)
    assert bars(np.repeat(frame[None], 4, axis=0)) == (0, 0, 0, 0)
