"""What a codec says of motion: the vectors that predicted frames carry, as speeds on a coarse grid.

FFmpeg exports them (`flags2=+export_mvs`) for H.264 and the MPEG family, not for HEVC, VP9 or AV1. It says of
a vector only that it points to the past or to the future. As frames come in order of display, the frame that
a past vector points to is taken to be the last one that is not bi-directional; so speeds depend little on
how an encoder orders its frames. Vectors to the future are left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from av.sidedata.sidedata import SideDataContainer
from numpy.typing import NDArray

EXPORT = {"flags2": "+export_mvs"}  # options of a decoder
GRID = (4, 4)  # rows, columns
ENOUGH = 256  # vectors of one frame; of more, every n-th is read
BIDIRECTIONAL = 3  # AV_PICTURE_TYPE_B


@dataclass(frozen=True)
class Exported:
    """Some of a frame's vectors as FFmpeg gives them, and what makes speeds of them."""

    vectors: Any  # structured array
    width: int  # pixels of the frame
    height: int
    seconds: float  # from the frame that vectors of the past point to


class VectorReader:
    """Keeps count of the frames between those that others are predicted from."""

    def __init__(self, fps: float) -> None:
        self._fps = fps
        self._since_anchor = 1

    def distance(self, frame: Any) -> int:
        """Frames from the last one that is not bi-directional to this one; to be asked of each frame once."""
        distance, self._since_anchor = self._since_anchor, self._since_anchor + 1
        if int(frame.pict_type) != BIDIRECTIONAL:
            self._since_anchor = 1
        return distance

    def read(self, frame: Any, distance: int) -> Exported | None:
        """A frame's vectors; None: it has none that point to the past."""
        # Not by `frame.side_data`, which ties frame and data into a ring: decoded pictures would fill memory
        # and cache until the garbage collector comes by.
        exported = SideDataContainer(frame).get("MOTION_VECTORS")  # type: ignore[call-arg]  # PyAV's stub
        if not exported:
            return None
        vectors = exported.to_ndarray()
        plain = vectors.view(f"V{vectors.itemsize}")  # numpy copies each field of each vector otherwise
        taken = plain[:: 1 + len(vectors) // ENOUGH].copy().view(vectors.dtype)
        if not len(taken) or taken["source"].min() >= 0:
            return None
        return Exported(taken, frame.width, frame.height, distance / self._fps)


def speeds(frames: Sequence[Exported]) -> NDArray[np.float32]:
    """[T,4,4] percent of the diagonal a second; NaN: nothing predicted there.

    A cell's is the mean over its vectors of the past, weighted with the area that each moves.
    """
    (rows, columns), cells = GRID, GRID[0] * GRID[1]
    kind = frames[0].vectors.dtype  # joined as bytes: numpy looks at each field of each array otherwise
    vectors = np.concatenate([frame.vectors.view(np.uint8) for frame in frames]).view(kind)
    number = np.repeat(np.arange(len(frames)), [len(frame.vectors) for frame in frames])
    past = vectors["source"] < 0
    vectors, number = vectors[past], number[past]
    width, height = frames[0].width, frames[0].height  # those of all frames of a video
    row = np.clip(vectors["dst_y"].astype(np.intp) * rows // height, 0, rows - 1)
    column = np.clip(vectors["dst_x"].astype(np.intp) * columns // width, 0, columns - 1)
    cell = number * cells + row * columns + column
    area = vectors["w"].astype(np.float64) * vectors["h"]
    length = np.hypot(vectors["motion_x"], vectors["motion_y"]) / np.maximum(vectors["motion_scale"], 1)
    sums, areas = (np.bincount(cell, weights, len(frames) * cells) for weights in (area * length, area))
    with np.errstate(invalid="ignore"):
        pixels = (sums / areas).reshape(-1, rows, columns)
    seconds = np.array([frame.seconds for frame in frames])
    found: NDArray[np.float32] = pixels * (100 / seconds / np.hypot(width, height))[:, None, None]
    return found.astype(np.float32)
