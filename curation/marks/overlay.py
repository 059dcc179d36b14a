"""What is laid over a picture, as a small network sees it: logos, names, words across, tiles, captions.

The network (282,000 weights, nearly all of 23 values, in `overlay.onnx.xz`) marks cells of 8 pixels of a
picture, or of a clip's mean frame and of how much each of its pixels changes. `tests/benchmarks/marks`
trained it on overlays drawn over photographs, still or under a moving camera; what it finds is in LOG.md.
"""

from __future__ import annotations

import lzma
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
WEIGHTS = Path(__file__).with_name("overlay.onnx.xz")
LONG_SIDE = 640  # pixels, as in training
STEP = 16  # pixels that sides are a multiple of
LEAST = 64  # pixels a side; the network needs eight cells


def score(picture: NDArray[Any], change: Floats | None = None) -> float:
    """How surely a picture bears an overlay, 0 to 1; arguments as of `logit`."""
    return float(1 / (1 + np.exp(-logit(picture, change))))


def logit(picture: NDArray[Any], change: Floats | None = None) -> float:
    """The logarithm of the odds that a picture bears an overlay.

    `picture` is one [H,W,3] or the mean of a clip's frames, red, green and blue from 0 to 255, `change` the
    deviation of each pixel's grey level over time [h,w]; None for a picture.
    """
    scale = LONG_SIDE / max(picture.shape[:2])
    down, across = (max(LEAST, round(side * scale / STEP) * STEP) for side in picture.shape[:2])
    colours = (_resized(picture, (across, down)) - 128) / 64
    moved = np.zeros((down, across, 1), np.float32)
    if change is not None:
        moved[..., 0] = np.log1p(_resized(change, (across, down))) / 2
    shown = np.concatenate((colours, moved), axis=2).transpose(2, 0, 1)
    return float(_session().run(["logit"], {"picture": shown[None]})[0][0])


def _resized(values: NDArray[Any], size: tuple[int, int]) -> Floats:
    shrinks = values.shape[1] > size[0]
    resized: Floats = cv2.resize(
        values.astype(np.float32), size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    )
    return resized


@cache
def _session() -> Any:
    """Loaded once a process, on one thread."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    # Bytes become floats once, on loading; else convolutions of them keep the slower layout.
    options.add_session_config_entry("session.disable_quant_qdq", "1")
    model = lzma.decompress(WEIGHTS.read_bytes())
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
