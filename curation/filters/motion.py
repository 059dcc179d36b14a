"""Rejects clips in which nothing moves (and, if asked, those that move too much).

Source: dense inverse search flow (Kroeger et al., ECCV 2016, arXiv:1603.03590; OpenCV's DISOpticalFlow), in
percent of the diagonal, so that a clip scores the same at any size. The alternative, Farneback's, is
Data-Juicer's video_motion_score_filter: full-size grey frames (by way of BGR) at 2 a second, of which the
first is followed by the very next one, mean displacement in pixels, rejected under 0.25 (`flow_px` with
method="farneback" is that value; on its three test videos 1.869317, 3.52111 and 1.1731424). A network of
RAFT's class (ECCV 2020, arXiv:2003.12039) serves where its weights are at hand, as an ONNX file.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from curation.errors import InputError
from curation.filters import Clip, Cost, Filter, Frames
from curation.weights import file_digest

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

FULL_SIZE = (Frames(fps=2, color="bgr_gray", least=2, lead=2),)
COLOURS = (Frames(fps=2, long_side=640, color="rgb", least=2),)


class Motion(Filter):
    """Bounds on the mean optical flow between frames half a second apart."""

    cost: ClassVar = Cost.FLOW
    applies_to: ClassVar = ("video",)
    needs: ClassVar = (Frames(fps=2, long_side=256, color="gray", least=2),)
    scores: ClassVar = ("mean_flow", "flow_px")
    thresholds: ClassVar = {
        "min_flow": ("mean_flow", "min"),
        "max_flow": ("mean_flow", "max"),
        "min_flow_px": ("flow_px", "min"),
    }
    reasons: ClassVar = {"min_flow": "static", "max_flow": "too_fast", "min_flow_px": "static"}

    min_flow: float | None = Field(default=0.1, ge=0, description="percent of the frame's diagonal a second")
    max_flow: float | None = Field(default=None, ge=0, description="percent of the frame's diagonal a second")
    min_flow_px: float | None = Field(default=None, ge=0, description="full-size pixels between samples")
    method: Literal["dis", "farneback", "raft"] = Field(
        default="dis", description="farneback: Data-Juicer's, 40 times dearer; raft: a network, dearer still"
    )
    weights: str | None = Field(
        default=None,
        description="of method raft: path of an ONNX file such as OpenCV's optical_flow_estimation_raft",
    )

    def requires(self) -> tuple[Frames, ...]:
        """Farneback's definition is on full-size frames, a network sees colours."""
        return {"dis": self.needs, "farneback": FULL_SIZE, "raft": COLOURS}[self.method]

    def revision(self) -> str | None:
        """Hash of the network's weights. Raises InputError without them."""
        if self.method != "raft":
            return None
        if self.weights is None or not Path(self.weights).is_file():
            raise InputError(
                f"motion by raft finds no weights at {self.weights}",
                "filters",
                "set motion.weights to a RAFT-class ONNX file, or motion.method to dis",
            )
        return f"{Path(self.weights).name} {file_digest(Path(self.weights))}"

    def measure(self, clip: Clip) -> dict[str, float]:
        """`mean_flow` in percent of the diagonal a second, `flow_px` in full-size pixels between samples."""
        from itertools import pairwise

        import numpy as np

        need = self.requires()[0]
        frames, times = clip.frames(need), clip.times(need)
        flow = _flow(self.method, self.weights)
        diagonal = float(np.hypot(*frames.shape[1:3]))
        moved = [float(_length(flow(a, b))) for a, b in pairwise(frames)]
        share = np.array(moved) / diagonal
        full = diagonal if self.method == "farneback" else float(np.hypot(clip.width, clip.height))
        return {
            "mean_flow": float(np.mean(share / np.diff(times)) * 100),
            "flow_px": float(np.mean(share) * full),
        }


def _length(flow: NDArray[np.float32]) -> float:
    """Mean length of [H,W,2] vectors."""
    import cv2

    return float(cv2.magnitude(*cv2.split(flow)).mean())


def _flow(method: str, weights: str | None) -> Any:
    """A function of two frames that gives [h,w,2] displacements in pixels."""
    import cv2

    if method == "raft":
        from curation.media.raft import flow

        return flow(str(weights))

    if method == "dis":
        dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST)
        return lambda a, b: dis.calc(a, b, None)
    return lambda a, b: cv2.calcOpticalFlowFarneback(a, b, None, 0.5, 3, 15, 3, 5, 1.2, 0)
