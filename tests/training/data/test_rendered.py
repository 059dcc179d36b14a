"""A world that is rendered instead of read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from omnivideo.errors import InputError
from omnivideo.shapes.rows import Look
from omnivideo.shapes.writing import read_truth, write
from training.data.rendered import CHUNK, Rendered, open_data
from training.data.samples import Bucket, View, count_tasks, read_samples

IMAGE, VIDEO = Bucket("image", 32, 32, 1), Bucket("video", 32, 32, 9)


def test_its_rows_are_those_that_are_written(tmp_path: Path) -> None:
    """Same numbers, same texts and, of images, same pixels as the files of `omnivideo shapes`."""
    write(tmp_path, 16, seed=5, look=Look(32))
    world = open_data("shapes://16?size=32&seed=5")
    samples = [sample for sample, _ in read_samples(world)]
    assert count_tasks(samples)["text_to_image"] == 4
    first = next(sample for sample in samples if sample.sample_id == "text_to_image-0000000")
    row = next(row for row in read_truth(tmp_path) if row["task"] == "text_to_image")
    frames, source = Rendered(world.uri).render(View(first.sample_id, "text_to_image", IMAGE, 0.0))
    assert source is None
    written = np.asarray(Image.open(tmp_path / row["path"]))
    np.testing.assert_array_equal(((frames[:, 0] + 1) * 127.5).round().permute(1, 2, 0).numpy(), written)


def test_an_edit_comes_with_its_source() -> None:
    """A video edit has as many frames as the phase asks for, of the target and of another source."""
    target, source = Rendered("shapes://16?size=32").render(
        View("video_edit-0000001", "video_edit", VIDEO, 8.0)
    )
    assert source is not None
    assert target.shape == source.shape == (3, 9, 32, 32)
    assert not torch.equal(target, source)


def test_processes_render_the_same() -> None:
    """Rendered by two processes, samples have the pixels that one renders, in the order asked for."""
    views = [View(f"video_edit-{n:07d}", "video_edit", VIDEO, 8.0) for n in range(CHUNK + 2)]
    alone, shared = (Rendered("shapes://64?size=32", n).render_all(views) for n in (1, 2))
    assert len(shared) == len(views)
    for one, other in zip(alone, shared, strict=True):
        assert all(map(torch.equal, one, other))


@pytest.mark.parametrize("uri", ["shapes://many", "shapes://0", "shapes://9?colour=3"])
def test_what_is_no_world_is_refused(uri: str) -> None:
    """An address without a count, or with an unknown key, is an error of the user's."""
    with pytest.raises(InputError, match="no world"):
        open_data(uri)
