"""Scene detectors, fed with each frame once and in order; here PySceneDetect's own, cut for cut.

Source: PySceneDetect 0.7. Its detectors see frames as OpenCV reads them, made 256 wide without smoothing;
so do these. The content score is the mean over hue, saturation and value of the mean absolute difference
between neighbouring frames. The library computes this in 32-bit copies of each channel; the L1 norm of the
8-bit pictures is the same sum in a tenth of the time.
"""

from __future__ import annotations

from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray
from scenedetect.detectors import AdaptiveDetector, ContentDetector

WIDTH = 256  # pixels
Bytes = NDArray[np.uint8]


class Detector(Protocol):
    """Finds the first frames of new scenes."""

    lag: int  # no cut is found later than this many frames after its own

    def view(self, frame: Any) -> Bytes:
        """What the detector looks at, of a decoded frame."""
        ...

    def push(self, index: int, picture: Bytes) -> list[int]:
        """The cuts that are certain once this frame is seen, in order."""
        ...

    def finish(self) -> list[int]:
        """The cuts left when there are no more frames."""
        ...


class Position(int):
    """A frame's number, in the place of PySceneDetect's `FrameTimecode`: lengths are counted in frames here.

    Making one of those takes longer than the rest of what a frame's score takes.
    """

    frame_rate = 25.0  # asked for, and not used

    @property
    def frame_num(self) -> int:
        """The number."""
        return int(self)


class _Quick:
    """The default-weight score (hue, saturation and value alike, no edges)."""

    lag = 0
    _before: Bytes | None = None

    def view(self, frame: Any) -> Bytes:
        """BGR, upright, at most 256 wide."""
        picture: Bytes = np.rot90(frame.to_ndarray(format="bgr24", threads=1), round(frame.rotation / 90) % 4)
        height, width = picture.shape[:2]
        if width <= WIDTH:
            return np.ascontiguousarray(picture)
        size = WIDTH, max(1, round(height * WIDTH / width))
        small: Bytes = cv2.resize(np.ascontiguousarray(picture), size, interpolation=cv2.INTER_LINEAR)
        return small

    def push(self, index: int, picture: Bytes) -> list[int]:
        found = self.process_frame(Position(index), picture)  # type: ignore[attr-defined]
        return [int(cut.frame_num) for cut in found]

    def finish(self) -> list[int]:
        return []

    def _calculate_frame_score(self, timecode: Any, frame_img: Bytes) -> float:
        hsv = cv2.cvtColor(frame_img, cv2.COLOR_BGR2HSV)
        before, self._before = self._before, hsv
        return 0.0 if before is None else cv2.norm(hsv, before, cv2.NORM_L1) / hsv.size


class QuickContent(_Quick, ContentDetector):  # type: ignore[misc]
    """`ContentDetector`. Where it merges cuts of flicker, it may answer later than its lag."""


class QuickAdaptive(_Quick, AdaptiveDetector):  # type: ignore[misc]
    """`AdaptiveDetector`, which looks two frames ahead."""

    lag = 2
