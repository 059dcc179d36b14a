from __future__ import annotations

from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from curation.media.scene_view import NOTHING, SIDE, SceneView

from .. import footage


@pytest.mark.parametrize("step", [1, 2, 3, 5, 8])
def test_scene_pictures_are_samples_of_the_frame(videos: Path, step: int) -> None:
    """The picture for scene detection has the frame's mean colour and the size that its step says."""
    frame = footage_frame(videos / "bikes.mp4")
    found = SceneView(step)(frame)
    whole = frame.to_ndarray(format="bgr24")
    assert abs(found.shape[1] - 640 / step) <= 4
    assert abs(found.shape[0] - 272 / step) <= 4
    np.testing.assert_allclose(found.mean((0, 1)), whole.mean((0, 1)), atol=4)


def test_one_view_serves_all_frames_of_a_film(videos: Path) -> None:
    """The buffer is used again, the pictures are not: each is its own frame's, every n-th pixel of it."""
    view = SceneView()
    with av.open(str(videos / "bikes.mp4")) as container:
        frames = [frame for frame, _ in zip(container.decode(video=0), range(30), strict=False)]
    found = [view(frame) for frame in frames]
    for frame, picture in zip(frames, found, strict=True):
        np.testing.assert_array_equal(picture, SceneView()(frame))
        assert max(picture.shape[:2]) <= SIDE
        step = -(-frame.width // SIDE)
        luma = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY).astype(float)
        sampled = frame.to_ndarray(format="gray")[::step, ::step][: luma.shape[0], : luma.shape[1]]
        assert np.abs(luma - sampled).mean() < 6
    assert not np.array_equal(found[0], found[-1])


def test_a_line_of_pixels_shows_no_scenes(tmp_path: Path, shots: footage.Pictures) -> None:
    """A frame of one line gives planes that are the same for all."""
    path = footage.write(
        tmp_path / "a.mkv", footage.fitted(shots[:1], 128, 1), codec="ffv1", pix_fmt="yuv420p"
    )
    assert SceneView().stored(footage_frame(path)) is NOTHING


def footage_frame(path: Path) -> av.VideoFrame:
    """A file's first frame."""
    with av.open(str(path)) as container:
        return next(container.decode(video=0))
