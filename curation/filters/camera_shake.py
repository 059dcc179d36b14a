"""Rejects clips from an unsteady hand: the picture as a whole trembles, faster than any pan.

Sources: global motion from projections onto rows and columns (Ratakonda, ISCAS 1998, as cameras stabilise
with); shake as what is left of the camera's path when its smooth part is taken off, as in stabilisation
(Grundmann, Kwatra and Essa, CVPR 2011). The path is the median over tiles of the frame, so a subject that
moves before a still camera is no shake, nor is a steady pan.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from curation.filters import Clip, Cost, Filter, Frames

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

TILES_DOWN, TILES_ACROSS = 2, 3
FARTHEST = 0.25  # of a tile's side, by which the picture may move between two samples
CLEAR = 0.6  # correlation from which a tile's shift is believed
TEXTURE = 0.15  # mean square step of a projection, levels, under which a tile shows no shift
WINDOW = 7  # samples of the path that a parabola is laid through: three quarters of a second


class CameraShake(Filter):
    """Bounds on the trembling of the camera's path."""

    cost: ClassVar = Cost.FRAMES
    applies_to: ClassVar = ("video",)
    needs: ClassVar = (Frames(fps=9.2, long_side=160, color="gray", least=2),)
    scores: ClassVar = ("shake",)
    thresholds: ClassVar = {"max_shake": ("shake", "max")}
    reasons: ClassVar = {"max_shake": "shaky"}

    max_shake: float | None = Field(default=0.5, ge=0, description="percent of the frame's diagonal, RMS")

    def measure(self, clip: Clip) -> dict[str, float]:
        """Root mean square distance of the camera from its smoothed path, in percent of the diagonal."""
        import numpy as np
        from scipy.signal import savgol_filter

        frames = clip.frames(self.needs[0])
        height, width = frames.shape[1:]
        if len(frames) <= WINDOW or min(height // TILES_DOWN, width // TILES_ACROSS) < 16:
            return {"shake": 0.0}
        steps = np.stack([_camera(profiles) for profiles in _projections(frames)], axis=1)
        path = np.concatenate([np.zeros((1, 2)), np.cumsum(steps, axis=0)])
        trembling = path - savgol_filter(path, WINDOW, 2, axis=0)
        return {"shake": float(np.sqrt((trembling**2).sum(axis=1).mean()) / np.hypot(height, width) * 100)}


def _projections(frames: NDArray[np.uint8]) -> tuple[Floats, Floats]:
    """Mean of each line and of each column of each tile: [T, tiles, lines], [T, tiles, columns]."""
    import numpy as np

    count, height, width = frames.shape
    down, across = height // TILES_DOWN, width // TILES_ACROSS
    cut = frames[:, : TILES_DOWN * down, : TILES_ACROSS * across]
    tiles = cut.reshape(count, TILES_DOWN, down, TILES_ACROSS, across)
    lines = tiles.mean(axis=4, dtype=np.float32).swapaxes(2, 3).reshape(count, -1, down)
    return lines, tiles.mean(axis=2, dtype=np.float32).reshape(count, -1, across)


def _camera(profiles: Floats) -> NDArray[np.float64]:
    """[T-1] pixels that the picture moves between frames; 0 where fewer than half of the tiles show it."""
    import numpy as np

    steps = np.diff(profiles, axis=2)
    shifts, correlation = _shifts(steps)
    clear = (correlation > CLEAR) & (np.vecdot(steps, steps)[:-1] > TEXTURE * steps.shape[2])
    moved = np.zeros(len(shifts))
    for index, seen in enumerate(clear):
        if 2 * seen.sum() >= seen.size:
            moved[index] = np.median(shifts[index][seen])
    return moved


def _shifts(steps: Floats) -> tuple[NDArray[np.float64], Floats]:
    """Shift of each tile between neighbours, [T-1, tiles], and the correlation of what then overlaps."""
    import numpy as np

    length = steps.shape[2]
    far = int(length * FARTHEST)
    before, after = steps[:-1], steps[1:]
    match = np.stack([_overlap(before, after, shift) for shift in range(-far, far + 1)])
    best = np.clip(match.argmax(axis=0), 1, 2 * far - 1)
    low, top, high = (np.take_along_axis(match, best[None] + k, axis=0)[0] for k in (-1, 0, 1))
    bend = np.minimum(low - 2 * top + high, -1e-6)  # of the parabola through the three
    return best - far + np.clip((low - high) / (2 * bend), -0.5, 0.5), top


def _overlap(before: Floats, after: Floats, shift: int) -> Floats:
    """Correlation of [T-1, tiles, n] and its follower moved back by `shift`, where both are seen."""
    import numpy as np

    length = before.shape[2]
    a = before[..., max(0, -shift) : length - max(0, shift)]
    b = after[..., max(0, shift) : length + min(0, shift)]
    energy = np.vecdot(a, a) * np.vecdot(b, b)
    match: Floats = np.vecdot(a, b) / np.sqrt(energy + 1e-3)
    return match
