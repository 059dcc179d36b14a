"""What a codec says of motion: the vectors that predicted frames carry, as speeds on a coarse grid.

FFmpeg exports them (`flags2=+export_mvs`) for H.264 and the MPEG family, not for HEVC, VP9 or AV1. It says of
a vector only that it points to the past or to the future. As frames come in order of display, the frame that
a past vector points to is taken to be the last one that is not bi-directional; so speeds depend little on
how an encoder orders its frames. Vectors to the future are left out.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

EXPORT = {"flags2": "+export_mvs"}  # options of a decoder
GRID = (4, 4)  # rows, columns
ENOUGH = 768  # vectors of one frame; of more, every n-th is read
BIDIRECTIONAL = 3  # AV_PICTURE_TYPE_B


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

    def read(self, frame: Any, distance: int) -> NDArray[np.float32] | None:
        """[4,4] speeds, percent of the diagonal a second; NaN: nothing predicted there. None: no vectors."""
        exported = frame.side_data.get("MOTION_VECTORS")
        if not exported:
            return None
        vectors = exported.to_ndarray()
        vectors = vectors[:: 1 + len(vectors) // ENOUGH]
        past = vectors[vectors["source"] < 0]
        if not len(past):
            return None
        scale = 100 * self._fps / distance / np.hypot(frame.width, frame.height)
        return _on_grid(past, frame.width, frame.height) * np.float32(scale)


def _on_grid(vectors: Any, width: int, height: int) -> NDArray[np.float32]:
    """Mean length in pixels in each cell, weighted with the area that each vector moves."""
    rows, columns = GRID
    row = np.clip(vectors["dst_y"].astype(np.int32) * rows // height, 0, rows - 1)
    column = np.clip(vectors["dst_x"].astype(np.int32) * columns // width, 0, columns - 1)
    cell = row * columns + column
    area = vectors["w"].astype(np.float64) * vectors["h"]
    length = np.hypot(vectors["motion_x"], vectors["motion_y"]) / np.maximum(vectors["motion_scale"], 1)
    sums = np.bincount(cell, area * length, rows * columns)
    areas = np.bincount(cell, area, rows * columns)
    with np.errstate(invalid="ignore"):
        means: NDArray[np.float32] = (sums / areas).reshape(GRID).astype(np.float32)
    return means
