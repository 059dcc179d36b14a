from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.media.records import ScanRequest, ScanResult
from curation.media.scan import scan
from curation.split import Closing, Span, SplitConfig, Splitter

from . import footage

FPS = 10.0
BLACK, WHITE = (np.full((48, 32), value, np.uint8) for value in (16, 235))  # planes of 32x32 pixels


def final(closings: list[Closing]) -> list[Span]:
    """The spans that became final."""
    return [span for closing in closings for span in closing.spans]


def spans(config: SplitConfig, scenes: list[int], fps: float = FPS) -> list[Span]:
    """All spans of alternating black and white scenes of the given lengths in frames."""
    splitter = Splitter(config, fps)
    found: list[Span] = []
    pictures = [(BLACK, WHITE)[index % 2] for index, length in enumerate(scenes) for _ in range(length)]
    for index, picture in enumerate(pictures):
        found += final(splitter.push(index / fps, picture))
    return found + final(splitter.finish())


def edges(found: list[Span]) -> list[tuple[int, int]]:
    """First frame and the one after the last."""
    return [(span.first, span.last) for span in found]


def test_cuts_are_where_scenes_change() -> None:
    """Each scene becomes one span, frame for frame."""
    assert edges(spans(SplitConfig(), [20, 30, 25])) == [(0, 20), (20, 50), (50, 75)]


def test_no_method_cuts_nothing() -> None:
    """Without a method a file is one span, unless it is longer than the longest length."""
    assert edges(spans(SplitConfig(method="none"), [20, 30])) == [(0, 50)]


def test_long_scenes_become_equal_parts() -> None:
    """A scene over the longest length is cut into parts that differ by a frame at most."""
    found = spans(SplitConfig(max_seconds=2), [30])
    assert edges(found) == [(0, 15), (15, 30)]


def test_endless_scenes_are_given_off_while_open() -> None:
    """Half an hour without a cut never holds more than twice the longest length, and leaves nothing out."""
    splitter = Splitter(SplitConfig(method="none", max_seconds=20), FPS)
    found: list[Span] = []
    for index in range(18_000):
        found += final(splitter.push(index / FPS, None))
        assert index - (found[-1].last if found else 0) <= 2 * 20 * FPS
    found += final(splitter.finish())
    assert edges(found)[0][0] == 0
    assert edges(found)[-1][1] == 18_000
    assert all(a.last == b.first for a, b in pairwise(found))


def test_trimming_is_at_cuts_only() -> None:
    """Frames are dropped on both sides of a cut and not at the ends of the file."""
    assert edges(spans(SplitConfig(trim_frames=3), [20, 30])) == [(0, 17), (23, 50)]


def test_short_scenes_are_kept_as_too_short() -> None:
    """A scene under the shortest length is still a span, marked, so that its row says why it was dropped."""
    found = spans(SplitConfig(min_seconds=2.5), [20, 30])
    assert [span.too_short for span in found] == [True, False]


def test_a_scene_trimmed_away_is_too_short() -> None:
    """Trimming that would leave nothing leaves the whole scene, marked as too short."""
    found = spans(SplitConfig(trim_frames=10), [30, 20, 30])
    assert (found[1].first, found[1].last, found[1].too_short) == (30, 50, True)


@settings(max_examples=60, deadline=None)
@given(
    scenes=st.lists(st.integers(15, 120), min_size=1, max_size=6),
    longest=st.integers(1, 6),
    fps=st.sampled_from([10.0, 24.0, 30000 / 1001]),
)
def test_spans_cover_each_frame_once(scenes: list[int], longest: int, fps: float) -> None:
    """Whatever the scenes, spans follow each other without gap or overlap, none over the longest length."""
    found = spans(SplitConfig(max_seconds=longest), scenes, fps)
    assert found[0].first == 0
    assert found[-1].last == sum(scenes)
    assert all(a.last == b.first for a, b in pairwise(found))
    assert all((span.last - span.first) / fps <= longest + 1.001 / fps for span in found)


@pytest.fixture(scope="module")
def joined(tmp_path_factory: pytest.TempPathFactory, videos: Path) -> tuple[Path, list[int]]:
    """Real shots one after the other, and the frames at which they begin."""
    bikes = footage.read(videos / "bikes.mp4")
    shots = [
        bikes[76:136],
        footage.read(videos / "carphone_pristine.mp4", 45),
        bikes[187:240],
        footage.read(videos / "bigbuckbunny.mp4", 50),
        bikes[137:186],
        footage.read(videos / "carphone_pristine.mp4")[60:110],
        bikes[0:30],
    ]
    starts = np.cumsum([len(shot) for shot in shots])[:-1].tolist()
    pictures = [picture for shot in shots for picture in footage.fitted(shot, 320, 180)]
    path = tmp_path_factory.mktemp("joined") / "joined.mp4"
    return footage.write(path, pictures), starts


def found_cuts(result: ScanResult) -> list[int]:
    """Frames at which clips after the first begin, at 25 frames a second."""
    return [round(clip["start_s"] * 25) for clip in result.clips[1:]]


@pytest.mark.parametrize("method", ["margin", "content", "adaptive"])
def test_true_cuts_are_found(joined: tuple[Path, list[int]], method: str) -> None:
    """On real shots joined at known frames, each detector finds each cut, and no other (F1 = 1)."""
    path, truth = joined
    split = SplitConfig.model_validate({"method": method})
    assert found_cuts(scan(path, ScanRequest(split=split), 10**8)) == truth


STEADY = {
    "flash": lambda pictures: [p if i % 9 else np.clip(p * 2.0 + 60, 0, 255) for i, p in enumerate(pictures)],
    "shaken": lambda pictures: [
        np.roll(p, (i * 7 % 23, i * 11 % 31), (0, 1)) for i, p in enumerate(pictures)
    ],
    "held": lambda pictures: [picture for picture in pictures[::2] for _ in range(5)],
}


@pytest.mark.parametrize("kind", STEADY)
def test_no_cut_where_there_is_none(tmp_path: Path, videos: Path, kind: str) -> None:
    """Flashes, a shaking camera and frames shown five times are no cuts, with the default settings."""
    shot = footage.fitted(footage.read(videos / "bikes.mp4")[137:186], 320, 136)
    pictures = [np.asarray(picture, np.uint8) for picture in STEADY[kind](shot)]
    result = scan(footage.write(tmp_path / "a.mp4", pictures), ScanRequest(), 10**8)
    assert len(result.clips) == 1


@pytest.mark.parametrize("kind", ["dark", "pale", "grey"])
def test_faint_cuts_are_found(joined: tuple[Path, list[int]], tmp_path: Path, kind: str) -> None:
    """In the dark, in fog and without colours each cut is found, with the default settings."""
    path, truth = joined
    faint = {
        "dark": lambda p: p * 0.3,
        "pale": lambda p: 100 + p * 0.35,
        "grey": lambda p: np.repeat(p.mean(axis=2, keepdims=True), 3, axis=2),
    }
    pictures = [faint[kind](picture).astype(np.uint8) for picture in footage.read(path)]
    result = scan(footage.write(tmp_path / "a.mp4", pictures), ScanRequest(), 10**8)
    assert found_cuts(result) == truth
