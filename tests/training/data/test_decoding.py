from __future__ import annotations

import io
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch

from curation.dataset import open_dataset
from tests.training.conftest import clip_bytes, image_bytes
from training.data.decoding import decode, read_media
from training.data.loader import Loader
from training.data.samples import Bucket, read_samples, view_of
from training.errors import TrainingError

CLIP = Bucket("video", 64, 96, 9)


def left_edge(frame: torch.Tensor) -> int:
    """First column of the moving square in a frame [3, H, W]."""
    row = frame[:, 30].numpy()
    difference = np.abs(row - row[:, -1:]).max(axis=0)
    return int(np.flatnonzero(difference > difference.max() / 2)[0])


def test_frames_are_those_on_show_at_the_wanted_rate() -> None:
    """At 8 of 24 frames a second every third one is taken: the square moves 6 pixels each time."""
    frames = decode(clip_bytes(1), CLIP, 8.0, "a")
    assert frames.shape == (3, 9, 64, 96)
    assert frames.min() >= -1
    assert frames.max() <= 1
    edges = [left_edge(frames[:, t]) for t in range(9)]
    assert edges == pytest.approx([6 * t for t in range(9)], abs=2)


def test_the_last_frame_stays_on_show() -> None:
    """A clip of one second at 24 frames a second gives 9 frames at 8: the ninth is its last again."""
    frames = decode(clip_bytes(1, frames=24), CLIP, 8.0, "a")
    assert left_edge(frames[:, 8]) == pytest.approx(2 * 23, abs=2)


def test_uneven_frames_are_taken_by_their_times() -> None:
    """Of a clip that slows down halfway each frame is shown for as long as its time stamps say."""
    shades = [16 * k for k in range(12)]
    times = [k / 20 for k in range(6)] + [0.3 + k / 5 for k in range(6)]
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as out:
        stream = out.add_stream("libx264", rate=20, options={"crf": "10"})
        stream.width, stream.height, stream.codec_context.time_base = 96, 64, Fraction(1, 1000)
        for shade, time in zip(shades, times, strict=True):
            frame = av.VideoFrame.from_ndarray(np.full((64, 96, 3), shade, np.uint8), format="rgb24")
            frame.pts, frame.time_base = round(time * 1000), Fraction(1, 1000)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    frames = decode(buffer.getvalue(), CLIP, 10.0, "a")
    found = (frames.mean(dim=(0, 2, 3)) + 1) * 127.5
    on_show = [max(s for s, t in zip(shades, times, strict=True) if t <= k / 10 + 1e-6) for k in range(9)]
    assert found.tolist() == pytest.approx(on_show, abs=4)


def test_images_are_resized_and_cropped_about_their_centre() -> None:
    """No stretching: a square stays a square."""
    frames = decode(image_bytes(2), Bucket("image", 64, 64, 1), 8.0, "a")
    assert frames.shape == (3, 1, 64, 64)
    inside = (frames[:, 0] - frames[:, 0, 32:33, 32:33]).abs().amax(dim=0) < 0.15
    assert int(inside.any(dim=0).sum()) == pytest.approx(int(inside.any(dim=1).sum()), abs=1)


@pytest.mark.parametrize("damaged", [b"", b"not media", clip_bytes(1)[:700]])
def test_media_that_do_not_decode_name_their_sample(damaged: bytes) -> None:
    """Training never goes on with something else in a damaged sample's place."""
    with pytest.raises(TrainingError, match="sample abc does not decode"):
        decode(damaged, CLIP, 8.0, "abc")


def test_media_are_read_by_sample(dataset: str) -> None:
    """An edit comes with its source, any other sample without."""
    media = read_media(open_dataset(dataset), ["image_edit-001", "text_to_video-000"])
    assert media["text_to_video-000"].source is None
    assert media["image_edit-001"] == (image_bytes(1), image_bytes(51))


def test_the_loader_decodes_ahead_and_counts_waiting(dataset: str, tmp_path: Path) -> None:
    """What was asked for ahead is the same as what is taken at once."""
    table = open_dataset(dataset)
    samples = [sample for sample, _ in read_samples(table) if sample.task == "video_edit"]
    views = [view_of(sample, CLIP, 8.0) for sample in samples]
    ahead, now = Loader(table), Loader(table)
    ahead.prefetch(views)
    for view in views:
        one, other = ahead.take(view), now.take(view)
        assert torch.equal(one.target, other.target)
        assert one.source is not None
    assert now.waited > 0
    ahead.close()
    now.close()
