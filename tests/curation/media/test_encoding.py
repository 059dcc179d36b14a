from __future__ import annotations

import av
import cv2
import numpy as np

from curation.media.encoding import encode


def test_the_same_frames_become_the_same_file() -> None:
    """Forty encodings of one pan have the same bytes: with AVX-512 x264 made several files of it."""
    chance = np.random.default_rng(0)
    soft = cv2.GaussianBlur(chance.integers(0, 256, (400, 600, 3), np.uint8).astype(np.float32), (0, 0), 8)
    sky = np.clip((soft - 128) * 16 + 128, 0, 255).astype(np.uint8)
    pan = [np.ascontiguousarray(sky[10:190, i : i + 320]) for i in range(60)]
    frames = [av.VideoFrame.from_ndarray(one, format="rgb24").reformat(format="yuv420p") for one in pan]
    timed = [(i / 24, frame) for i, frame in enumerate(frames)]
    assert len({encode(iter(timed), len(timed)) for _ in range(40)}) == 1
