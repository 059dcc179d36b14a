"""Rejects what is blurred, noisy or torn by compression, from the pixels alone.

Sources: sharpness by blurring again (Crete, Dolmiere, Ladret and Nicolas, SPIE 6492, 2007: what is blurred
already changes little), here the ratio of the Laplacian's variances before and after, which neither contrast
nor darkness changes; noise is the standard deviation by Immerkaer (CVIU 64(2), 1996) in the flattest tenth of
blocks, since fur and sand are noise to him, but seldom all of a picture (Lee and Hoppel, IGARSS 1989: noise
from the smoothest blocks); `block_quality` is the no-reference JPEG score of Wang, Sheikh and Bovik (ICIP
2002, their constants: 10 is best, 1 worst), which falls with block edges and with lost detail. All on grey
frames of at most 640 px, so that large media are judged at the size at which they are used.

The defaults stand between 62 photographs and 218 real and animated clips, of which one in 20 is rejected
(titles, night, texture like grass), and their ruined variants: sharpness after blur of 1.5 px is under 2.4
(originals from 2.8, 98 percent from 3.5), JPEG of quality 10 at 640 px has block quality under 6. Of 200
other photographs 3.5 percent have noise over 6, with noise of 25 grey levels at 1024 px all of them, with 15
levels 85 percent; 65 films stay under 1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from curation.filters import Clip, Cost, Filter, Frames

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


ROUNDING = 20 / 12  # variance of the Laplacian of what rounding to whole levels adds
LEAST_DETAIL = 0.05  # so that a picture without any has sharpness 0
BLOCK, FLATTEST = 32, 0.1  # pixels of a block's side; share of blocks that may be flatter


class Quality(Filter):
    """Bounds on three technical measures, each the mean of three frames."""

    cost: ClassVar = Cost.FRAMES
    needs: ClassVar = (Frames(count=3, long_side=640, color="gray"),)
    version: ClassVar = 2
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
    max_noise: float | None = Field(default=6.0, ge=0, description="sigma of the noise, grey levels")
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

    detail = cv2.Laplacian(grey, cv2.CV_16S)
    blur = cv2.getGaussianKernel(5, 1, cv2.CV_32F)
    soft = cv2.sepFilter2D(detail, cv2.CV_32F, blur, blur)  # blurred after or before: the same
    return max(0.0, _variance(detail) - ROUNDING) / (_variance(soft) + LEAST_DETAIL)


def _variance(values: NDArray[Any]) -> float:
    import cv2

    return float(cv2.norm(values, cv2.NORM_L2SQR) / values.size - cv2.mean(values)[0] ** 2)


def _noise(grey: NDArray[np.uint8]) -> float:
    """Immerkaer's sigma, by a Laplacian difference that leaves edges out, of the flattest tenth of blocks."""
    import cv2
    import numpy as np

    bend = np.array([1, -2, 1], np.float32)
    inner = np.abs(cv2.sepFilter2D(grey, cv2.CV_16S, bend, bend)[1:-1, 1:-1])
    if not inner.size:
        return 0.0
    down, across = (max(1, side // BLOCK) for side in inner.shape)
    whole = inner[: BLOCK * down, : BLOCK * across].astype(np.float32)
    blocks = cv2.resize(whole, (across, down), interpolation=cv2.INTER_AREA)  # each pixel a block's mean
    return float(np.quantile(blocks, FLATTEST) * np.sqrt(np.pi / 2) / 6)


def _block_quality(grey: NDArray[np.uint8]) -> float:
    """Blockiness B, activity A and zero crossings Z of both directions, by Wang's formula; 10 under 17 px."""
    import numpy as np

    if min(grey.shape) < 17:
        return 10.0
    across = _features(grey[:, :-1], grey[:, 1:], (slice(None), slice(7, None, 8)))
    down = _features(grey[:-1], grey[1:], (slice(7, None, 8),))
    b, a, z = np.maximum(np.mean([across, down], axis=0), 1e-4)
    return max(0.0, float(-245.8909 + 261.9373 * b**-0.02398886 * a**0.01601664 * z**0.00642859))


def _features(
    before: NDArray[np.uint8], after: NDArray[np.uint8], borders: tuple[slice, ...]
) -> tuple[float, float, float]:
    """Of steps between pixels: mean size at borders of 8x8 blocks and inside them, share of sign changes."""
    import cv2
    import numpy as np

    steps = cv2.subtract(after, before, dtype=cv2.CV_16S)
    border = _mean_size(np.ascontiguousarray(steps[borders]))
    activity = (8 * _mean_size(steps) - border) / 7
    first, second = (steps[:, :-1], steps[:, 1:]) if len(borders) == 2 else (steps[:-1], steps[1:])
    turns = cv2.compare(cv2.multiply(first, second), 0, cv2.CMP_LT)  # products saturate, and keep their sign
    return border, activity, cv2.countNonZero(turns) / turns.size


def _mean_size(values: NDArray[np.int16]) -> float:
    """Mean absolute value."""
    import cv2

    return cv2.norm(values, cv2.NORM_L1) / values.size
