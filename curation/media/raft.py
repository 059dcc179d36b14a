"""Optical flow by a network in an ONNX file that takes two pictures.

Source: RAFT (Teed and Deng, ECCV 2020, arXiv:2003.12039), as OpenCV's model zoo has it
(optical_flow_estimation_raft_2023aug.onnx): inputs `0` and `1`, float32 RGB from 0 to 255, 1x3x360x480, and
of its outputs the larger one, 1x2x360x480, displacements in pixels. Any file of this form will do; the size
is read from it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from curation.errors import InputError

Flow = Callable[[NDArray[np.uint8], NDArray[np.uint8]], NDArray[np.float32]]


@cache
def flow(path: str) -> Flow:
    """A function of two [H,W,3] RGB frames that gives displacements [h,w,2] in pixels of the frames given.

    Raises InputError if the file is not such a network.
    """
    network = _session(path)
    names = [one.name for one in network.get_inputs()]
    height, width = _size(path, network.get_inputs())

    def measure(before: NDArray[np.uint8], after: NDArray[np.uint8]) -> NDArray[np.float32]:
        given = (
            cv2.resize(frame, (width, height), interpolation=cv2.INTER_LINEAR) for frame in (before, after)
        )
        planes = [frame.transpose(2, 0, 1)[None].astype(np.float32) for frame in given]
        found = _finest(path, network.run(None, dict(zip(names, planes, strict=True))))
        # What the network calls a pixel is one of its own output, not of the frame.
        scale = np.array([before.shape[1] / found.shape[2], before.shape[0] / found.shape[1]], np.float32)
        return np.ascontiguousarray(found.transpose(1, 2, 0) * scale)

    return measure


def _session(path: str) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise _refused(path, f"onnxruntime does not load it: {type(error).__name__}") from error


def _size(path: str, inputs: list[Any]) -> tuple[int, int]:
    """(height, width) of the pictures that the network takes."""
    shapes = [one.shape for one in inputs]
    if len(shapes) != 2 or any(len(shape) != 4 or shape[1] != 3 for shape in shapes):
        raise _refused(path, f"its inputs are {shapes}, not two pictures of 1x3xHxW")
    sizes = [side for shape in shapes for side in shape[2:]]
    if not all(isinstance(side, int) for side in sizes) or sizes[:2] != sizes[2:]:
        raise _refused(path, f"its inputs {shapes} have no fixed size")
    return sizes[0], sizes[1]


def _finest(path: str, outputs: list[Any]) -> NDArray[np.float32]:
    """[2,h,w]: of the outputs that are a flow, the largest."""
    flows = [found for found in outputs if found.ndim == 4 and found.shape[1] == 2]
    if not flows:
        raise _refused(path, f"its outputs are {[list(found.shape) for found in outputs]}, not 1x2xHxW")
    largest: NDArray[np.float32] = max(flows, key=lambda found: found.size)[0]
    return largest


def _refused(path: str, why: str) -> InputError:
    return InputError(
        f"{path} is not a flow network: {why}",
        "filters",
        "give motion.weights a RAFT-class ONNX file, or set motion.method to dis",
    )
