from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from curation.filters import Frames
from curation.media import decode, probe
from curation.media.sampler import SampledClip, Sampler

TWO = Frames(fps=2, long_side=64, least=2)


def fed(path: Path, wanted: set[Frames], fps: float, cuts: tuple[int, ...] = ()) -> Sampler:
    """A sampler that saw a whole file, with new scenes at some frames."""
    with probe.open_video(path, 10**8) as (container, stream):
        sampler = Sampler(wanted, fps, stream.width, stream.height, 0)
        for index, (time, frame) in enumerate(decode.frames(container, stream)):
            if index in cuts:
                sampler.close(time)
            if index in (0, *cuts):
                sampler.new_scene(time)
            sampler.offer(time, frame)
    return sampler


def taken(sampler: Sampler, needs: Frames) -> list[int]:
    """The numbers of the frames that were kept, at 25 a second."""
    return [round(time * 25) for time, _ in sampler.tracks[needs].samples]


def test_a_grid_is_a_whole_number_of_frames(videos: Path) -> None:
    """Two a second of 25 is each twelfth frame (Data-Juicer's step)."""
    assert taken(fed(videos / "bigbuckbunny.mp4", {TWO}, 25), TWO) == list(range(0, 132, 12))


def test_a_grid_starts_anew_at_a_scene(videos: Path) -> None:
    """The first frame of each scene is sampled, and a short scene gets its last frame, too."""
    found = taken(fed(videos / "bigbuckbunny.mp4", {TWO}, 25, cuts=(30, 40)), TWO)
    assert found[:6] == [0, 12, 24, 30, 39, 40]


def test_a_filter_sees_the_same_whoever_else_asks(videos: Path) -> None:
    """Other filters' needs change neither which frames a filter gets nor their pixels."""
    path = videos / "carphone_pristine.mp4"
    alone = fed(path, {TWO}, 29.97).tracks[TWO].samples
    others = {TWO, Frames(fps=5, color="rgb"), Frames(count=3, long_side=100), Frames(fps=2, long_side=160)}
    together = fed(path, others, 29.97).tracks[TWO].samples
    assert [time for time, _ in alone] == [time for time, _ in together]
    assert all(np.array_equal(a, b) for (_, a), (_, b) in zip(alone, together, strict=True))


def test_uneven_times_keep_the_rate(uneven: tuple[Path, list[float]]) -> None:
    """With a changing frame rate, samples stay half a second apart, to a frame."""
    path, times = uneven
    rate = len(times) / times[-1]
    found = [time for time, _ in fed(path, {TWO}, rate).tracks[TWO].samples]
    assert np.diff(found) == pytest.approx(0.5, abs=0.15)


def test_samples_of_closed_clips_are_dropped(videos: Path) -> None:
    """Memory holds what the open scene needs and nothing older."""
    sampler = fed(videos / "bigbuckbunny.mp4", {TWO}, 25)
    sampler.forget(before=4.0)
    assert min(time for time, _ in sampler.tracks[TWO].samples) >= 4.0


def test_frames_by_count_are_spread_evenly() -> None:
    """Three of a clip are at its sixths 1, 3 and 5, wherever the clip lies in its source."""
    needs = Frames(count=3)
    samples = [(10 + i / 2, np.full((2, 2), i, np.uint8)) for i in range(24)]
    clip = SampledClip("video", 2, 2, 25.0, 300, 10.0, 22.0, {needs: samples})
    assert clip.times(needs).tolist() == [12.0, 16.0, 20.0]
    assert clip.frames(needs).shape == (3, 2, 2)


def test_rotation_turns_samples(rotated: Path, shots: list[np.ndarray]) -> None:
    """Samples are upright although the file's frames lie on their side."""
    with probe.open_video(rotated, 10**8) as (container, stream):
        time, frame = next(decode.frames(container, stream))
        turns = round(frame.rotation / 90) % 4
        sampler = Sampler({TWO}, 25, stream.width, stream.height, turns)
        sampler.new_scene(time)
        sampler.offer(time, frame)
    ((_, found),) = sampler.tracks[TWO].samples
    assert found.shape == (27, 64)


def test_a_cut_seen_late_still_gives_the_scenes_last_frame(videos: Path) -> None:
    """When a cut is seen two frames late, the short scene before it gets its own last frame."""
    with probe.open_video(videos / "bigbuckbunny.mp4", 10**8) as (container, stream):
        sampler = Sampler({TWO}, 25, stream.width, stream.height, 0)
        for index, (time, frame) in enumerate(decode.frames(container, stream)):
            if index == 12:
                sampler.close(10 / 25)
            if index in (0, 12):
                sampler.new_scene(time)
            sampler.offer(time, frame)
            if index == 12:
                break
    assert taken(sampler, TWO) == [0, 9, 12]
