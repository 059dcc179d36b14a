"""The methods of the motion rule, each against what defines it."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from curation.errors import InputError
from curation.filters import parse
from curation.media.records import ScanRequest
from curation.media.scan import scan
from curation.split import SplitConfig

from .. import footage, onnx_file


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
        ("carphone_pristine", 30000 / 1001, 60, "yuv420p"),
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


def test_farneback_sees_stored_pixels(videos: Path) -> None:
    """Where pixels are not square, Data-Juicer's value is that of the pixels as stored."""
    path = videos / "carphone_pristine.mp4"
    found = motion_scores(path, method="farneback")["motion_flow_px"]
    assert found == pytest.approx(seeking_farneback(path), rel=1e-3)


def network(path: Path, shape: Any = (1, 3, 48, 64), names: str = "01", right: float = 6.0) -> Path:
    """An ONNX file of RAFT's form, with a coarse and a fine flow: all moved right, by pixels of its own."""
    fine = np.zeros((1, 2, 48, 64), np.float32)
    fine[:, 0] = right
    flows = {"coarse": fine[:, :, ::8, ::8] / 8, "fine": fine}
    nodes: list[onnx_file.Node] = [
        ("Sub", [names[0], names[-1]], "difference", {}),
        ("ReduceMean", ["difference"], "mean", {"keepdims": 0}),
        ("Mul", ["mean", "nothing"], "none", {}),
        *(("Add", [name, "none"], f"flow_{name}", {}) for name in flows),
    ]
    constants = {**flows, "nothing": np.zeros((), np.float32)}
    outputs = [f"flow_{name}" for name in flows]
    return onnx_file.save(path, nodes, constants, dict.fromkeys(names, shape), outputs)


def test_a_network_measures_in_its_own_pixels(tmp_path: Path, videos: Path) -> None:
    """Whatever size a network works at, its flow counts as a share of the frame that it saw."""
    weights = network(tmp_path / "raft.onnx")
    scores = motion_scores(videos / "carphone_pristine.mp4", method="raft", weights=str(weights))
    moved = 6 * 192 / 64  # 176 pixels of 12:11
    assert scores["motion_flow_px"] == pytest.approx(moved, rel=1e-4)
    assert scores["motion_mean_flow"] == pytest.approx(100 * moved / np.hypot(192, 144) / 0.5005, rel=0.01)


def test_missing_weights_are_said_before_work(tmp_path: Path) -> None:
    """Method raft without weights, or with a path where nothing is, is refused before any file is read."""
    for weights in (None, str(tmp_path / "none.onnx")):
        (rule,) = parse([{"motion": {"method": "raft", "weights": weights}}])
        with pytest.raises(InputError, match="finds no weights") as refusal:
            rule.revision()
        assert "motion.weights" in refusal.value.next_step


@pytest.mark.parametrize("wrong", [{"names": "0"}, {"shape": (1, 1, 48, 64)}, {"shape": (1, 3, "h", "w")}])
def test_another_network_is_refused(tmp_path: Path, videos: Path, wrong: dict[str, Any]) -> None:
    """A network that does not take two pictures of a fixed size is the user's error, not the clip's."""
    weights = network(tmp_path / "other.onnx", **wrong)
    with pytest.raises(InputError, match="not a flow network"):
        motion_scores(videos / "carphone_pristine.mp4", method="raft", weights=str(weights))


def test_weights_tell_results_apart(tmp_path: Path) -> None:
    """Other weights under the same name are another model."""
    told = []
    for right in (1.0, 2.0):
        weights = network(tmp_path / "raft.onnx", right=right)
        (rule,) = parse([{"motion": {"method": "raft", "weights": str(weights)}}])
        told.append(rule.revision())
    assert told[0] != told[1]
