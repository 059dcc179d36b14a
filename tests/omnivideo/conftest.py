"""One tiny model for all tests of the room; a test that changes weights builds its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from omnivideo.config import preset
from omnivideo.model import OmniVideoModel
from omnivideo.pipeline import OmniVideoPipeline


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    """Tiny tensors gain nothing from threads, and on a busy machine waiting for them costs up to 40 times."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def model() -> OmniVideoModel:
    """The tiny preset at seed 0; read-only."""
    return OmniVideoModel.build(preset("tiny"), seed=0)


@pytest.fixture
def pipeline(model: OmniVideoModel) -> OmniVideoPipeline:
    """A pipeline around the shared model, without progress bars."""
    pipeline = OmniVideoPipeline.of(model)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


@pytest.fixture
def clip() -> torch.Tensor:
    """Two clips [B, F, 3, H, W] of 9 frames, smooth enough to differ after resizing."""
    generator = torch.Generator().manual_seed(7)
    coarse = torch.rand(2 * 9, 3, 4, 4, generator=generator) * 2 - 1
    return torch.nn.functional.interpolate(coarse, size=(64, 64), mode="bilinear").view(2, 9, 3, 64, 64)
