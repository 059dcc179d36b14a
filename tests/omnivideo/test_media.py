from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from omnivideo import media
from omnivideo.errors import InputError


def _clip() -> media.Pixels:
    ramp = np.linspace(0, 255, 64, dtype=np.uint8)
    frames = np.stack([np.roll(np.broadcast_to(ramp, (48, 64)), 4 * i, axis=1) for i in range(9)])
    return np.repeat(frames[..., None], 3, axis=3)


def test_a_video_comes_back_much_as_it_went(tmp_path: Path) -> None:
    """A saved mp4 loads with the same frames, up to compression."""
    path = media.save(_clip(), tmp_path / "deep" / "clip.mp4", fps=8)
    loaded = media.load(path)
    assert loaded.shape == (9, 48, 64, 3)
    assert np.abs(loaded.astype(int) - _clip()).mean() < 6


def test_a_picture_comes_back_exactly(tmp_path: Path) -> None:
    """A frame saved as png loads bit for bit."""
    path = media.save(_clip()[:1], tmp_path / "frame.png", fps=8)
    assert np.array_equal(media.load(path), _clip()[:1])


def test_loading_resamples_and_fills(videos: Path) -> None:
    """A real clip loads in the number of frames and the size asked for."""
    loaded = media.load(videos / "carphone_pristine.mp4", num_frames=5, height=64, width=48)
    assert loaded.shape == (5, 64, 48, 3)
    assert loaded.dtype == np.uint8


@pytest.mark.parametrize("name", ["broken.mp4", "broken.png", "missing.mp4"])
def test_what_does_not_open_is_an_input_error(tmp_path: Path, name: str) -> None:
    """A missing file and files that hold no media are input errors that name the file."""
    if name.startswith("broken"):
        (tmp_path / name).write_bytes(b"not media at all")
    with pytest.raises(InputError, match=name):
        media.load(tmp_path / name)


def test_several_frames_need_a_video_file(tmp_path: Path) -> None:
    """Nine frames do not go into a png, and nothing goes into an unknown format."""
    with pytest.raises(InputError, match="9 frames"):
        media.save(_clip(), tmp_path / "clip.png", fps=8)
    with pytest.raises(InputError, match="no writer"):
        media.save(_clip(), tmp_path / "clip.xyz", fps=8)
