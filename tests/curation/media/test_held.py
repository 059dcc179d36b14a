from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.filters import Frames
from curation.media import decode, held, probe
from curation.media.held import Candidates, HeldFrame

THREE = Frames(count=3, long_side=64)


def decoded(path: Path) -> HeldFrame:
    """A file's first frame."""
    with probe.open_video(path, 10**8) as (container, stream):
        _, frame = next(decode.frames(container, stream))
    return HeldFrame(frame, (frame.width, frame.height), 0)


def offered(times: list[float], unwanted: frozenset[float] = frozenset()) -> Candidates:
    """What sees frames at these times, of a film of 25 a second."""
    few = Candidates([THREE], 25.0)
    few.new_scene(times[0])
    held_frame = HeldFrame(FakeFrame(), (64, 64), 0)
    for time in times:
        if time >= few.next:
            few.add(time, None if time in unwanted else held_frame)
    return few


class FakeFrame:
    """As large as a small frame; of its pixels nobody asks."""

    width = height = 64


def test_a_long_scene_is_held_in_few_frames() -> None:
    """Of ten minutes without a cut as few frames are kept as of one, evenly spread over all of it."""
    times = [round(i / 25, 3) for i in range(600 * 25)]
    kept = [time for time, _ in offered(times).kept()]
    assert held.MOST / 2 <= len(kept) <= held.MOST
    assert np.ptp(np.diff(kept)) < 0.1
    assert kept[0] == 0.0
    assert kept[-1] > 550


@settings(max_examples=30, deadline=None)
@given(st.sets(st.integers(0, 999)))
def test_frames_that_nobody_wants_change_no_others(numbers: set[int]) -> None:
    """Clips that are done are passed over: the frames kept of the others are the same."""
    times = [round(i / 25, 3) for i in range(1000)]
    unwanted = frozenset(times[i] for i in numbers)
    all_kept = [time for time, _ in offered(times).kept()]
    kept = [time for time, _ in offered(times, unwanted).kept()]
    assert kept == [time for time in all_kept if time not in unwanted]


def test_pictures_are_the_same_after_shrinking(videos: Path) -> None:
    """A heavy frame's smaller planes give the pictures that its own would, to the bit."""
    path, wanted = videos / "bigbuckbunny.mp4", [THREE, Frames(count=5, long_side=100, color="rgb")]
    whole, shrunk = decoded(path), decoded(path)
    shrunk._pyramid.shrink((100, 100))
    for needs in wanted:
        np.testing.assert_array_equal(shrunk.picture(needs), whole.picture(needs))


def test_a_heavy_frame_is_let_go(videos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A frame over the limit is not held itself, unless somebody wants all of its pixels."""
    frame = decoded(videos / "bigbuckbunny.mp4")
    frame.shrink([THREE])
    assert frame._frame is not None
    monkeypatch.setattr(held, "HEAVY_BYTES", 1)
    frame.shrink([THREE, Frames(count=1, color="bgr_gray")])
    assert frame._frame is not None
    frame.shrink([THREE])
    assert frame._frame is None
