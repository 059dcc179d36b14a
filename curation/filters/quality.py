"""Rejects what is blurred, noisy or torn by compression, from the pixels alone.

Sources: sharpness by blurring again (Crete, Dolmiere, Ladret and Nicolas, SPIE 6492, 2007: what is blurred
already changes little), here the ratio of the Laplacian's variances before and after, which neither contrast
nor darkness changes; noise is the standard deviation by Immerkaer (CVIU 64(2), 1996); `block_quality` is the
no-reference JPEG score of Wang, Sheikh and Bovik (ICIP 2002, their constants: 10 is best, 1 worst), which
falls with block edges and with lost detail. All on grey frames of at most 640 px, so that large media are
judged at the size at which they are used.

The defaults stand between 62 photographs and 218 real and animated clips, of which one in 20 is rejected
(titles, night, texture like grass), and their ruined variants: sharpness after blur of 1.5 px is under 2.4
(originals from 2.8, 98 percent from 3.5), noise of 25 grey levels at 1024 px scores from 8 to 28 (98 percent
of the originals up to 8), JPEG of quality 10 at 640 px has block quality under 6.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from curation.filters import Clip, Cost, Filter, Frames

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


ROUNDING = 20 / 12  # variance of the Laplacian of what rounding to whole levels adds
LEAST_DETAIL = 0.05  # so that a picture without any has sharpness 0


class Quality(Filter):
    """Bounds on three technical measures, each the mean of three frames."""

    cost: ClassVar = Cost.FRAMES
    needs: ClassVar = (Frames(count=3, long_side=640, color="gray"),)
    scores: ClassVar = ("sharpness", "noise", "block_quality")
    thresholds: ClassVar = {
        "min_sharpness": ("sharpness", "min"),
        "max_noise": ("noise", "max"),
        "min_block_quality": ("block_quality", "min"),
    }
    reasons: ClassVar = {
        "min_sharpness": "blurred",
        "max_noise": "noisy",
        "min_block_quality": "compressed",
    }

    min_sharpness: float | None = Field(default=3.0, ge=0, description="detail that blurring takes, a ratio")
    max_noise: float | None = Field(default=9.0, ge=0, description="sigma of the noise, grey levels")
    min_block_quality: float | None = Field(default=8.0, description="Wang's score, 1 worst to 10 best")

    def measure(self, clip: Clip) -> dict[str, float]:
        """Sharpness, noise and block quality."""
        import numpy as np

        rows = [_measures(frame) for frame in clip.frames(self.needs[0])]
        return dict(zip(self.scores, np.mean(rows, axis=0).tolist(), strict=True))


def _measures(grey: NDArray[np.uint8]) -> tuple[float, float, float]:
    return _sharpness(grey), _noise(grey), _block_quality(grey)


def _sharpness(grey: NDArray[np.uint8]) -> float:
    """Variance of the Laplacian, less what rounding alone makes, over that of the picture blurred by 1 px."""
    import cv2
    import numpy as np

    picture = grey.astype(np.float32)
    soft = cv2.GaussianBlur(picture, (5, 5), 1)
    return max(0.0, _detail(picture) - ROUNDING) / (_detail(soft) + LEAST_DETAIL)


def _detail(picture: NDArray[np.float32]) -> float:
    """Variance of the Laplacian."""
    import cv2

    return float(cv2.meanStdDev(cv2.Laplacian(picture, cv2.CV_32F))[1][0, 0]) ** 2


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
