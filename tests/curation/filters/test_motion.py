"""The methods of the motion rule, each against what defines it."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from curation.filters import parse
from curation.media.records import ScanRequest
from curation.media.scan import scan
from curation.split import SplitConfig

from .. import footage


def motion_scores(path: Path, **fields: Any) -> dict[str, float]:
    """The scores of a whole file."""
    split = SplitConfig(method="none", max_seconds=120, min_seconds=0)
    request = ScanRequest(split, parse([{"motion": fields}]), score_all=True)
    return scan(path, request, 10**8).clips[0]["scores"]


def seeking_farneback(path: Path) -> float:
    """Data-Juicer's video_motion_score_filter as its documentation and behaviour define it, frame by frame.

    The first frame is compared with the second; from then on the reader jumps to multiples of the step.
    """
    capture = cv2.VideoCapture(str(path))
    rate, count = capture.get(cv2.CAP_PROP_FPS), int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
    step = max(1, min(round(rate / min(2, rate)), count - 1))
    wanted = [0, 1, *range(step, count, step)]
    frames = [cv2.cvtColor(capture.read()[1], cv2.COLOR_BGR2GRAY) for _ in range(count)]
    means = []
    for before, after in pairwise(wanted):
        flow = cv2.calcOpticalFlowFarneback(frames[before], frames[after], None, 0.5, 3, 15, 3, 5, 1.2, 0)
        means.append(cv2.cartToPolar(flow[..., 0], flow[..., 1])[0].mean())
    return float(np.mean(means))


@pytest.mark.parametrize(
    ("name", "fps", "count", "fmt"),
    [
        ("carphone_pristine", 30000 / 1001, 120, "yuv420p"),
        ("bikes", 24, 40, "yuvj420p"),
        ("bikes", 25, 13, "yuv422p"),
        ("bigbuckbunny", 12.5, 9, "yuv420p"),
    ],
)
@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_farneback_is_data_juicers(
    tmp_path: Path, videos: Path, name: str, fps: float, count: int, fmt: str, suffix: str
) -> None:
    """`flow_px` of any rate, length, range and container is Data-Juicer's value, to a thousandth."""
    pictures = footage.fitted(footage.read(videos / f"{name}.mp4", count), 176, 144)
    path = footage.write(tmp_path / f"a.{suffix}", pictures, fps=fps, pix_fmt=fmt)
    found = motion_scores(path, method="farneback")["motion_flow_px"]
    assert found == pytest.approx(seeking_farneback(path), rel=1e-3)
