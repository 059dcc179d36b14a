from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omnivideo.config import preset
from omnivideo.errors import InputError
from omnivideo.sampling import Sampling, settle

NOTHING = dict.fromkeys(("height", "width", "num_frames", "steps", "guidance_scale", "flow_shift"))


def test_paper_settings_for_images_and_videos() -> None:
    """Images take guidance 5.0 and 50 steps, videos 3.0 and 40; 720p takes the larger flow shift."""
    config = preset("omni-11b")
    video = settle(config, None, **NOTHING)
    image = settle(config, None, **{**NOTHING, "num_frames": 1})
    assert (video.guidance_scale, video.steps, video.kind, video.flow_shift) == (3.0, 40, "video", 3.0)
    assert (image.guidance_scale, image.steps, image.kind) == (5.0, 50, "image")
    assert settle(config, None, **{**NOTHING, "height": 720, "width": 1280}).flow_shift == 5.0


@given(st.integers(1, 200))
def test_an_edit_keeps_its_sources_length(frames: int) -> None:
    """An edit has the longest 4n+1 frames that its source fills."""
    settings = settle(preset("tiny"), frames, **NOTHING)
    assert settings.num_frames % 4 == 1
    assert 0 <= frames - settings.num_frames < 4


@pytest.mark.parametrize(
    ("field", "value", "advice"),
    [
        ("height", 100, "multiple of 16, such as 96"),
        ("width", 0, "such as 16"),
        ("num_frames", 8, "such as 9"),
    ],
)
def test_impossible_sizes_are_refused_with_the_nearest_possible(field: str, value: int, advice: str) -> None:
    """A height, width or frame count that does not fit is an input error that names one that does."""
    with pytest.raises(InputError, match=advice):
        settle(preset("tiny"), None, **{**NOTHING, field: value})


def test_latents_have_the_autoencoders_strides() -> None:
    """81 frames of 480×832 are 21 latent frames of 60×104."""
    assert Sampling(480, 832, 81, 1, 1.0, 3.0).latent_shape == (21, 60, 104)
