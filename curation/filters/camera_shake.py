"""Rejects clips from an unsteady hand: the picture as a whole trembles, faster than any pan.

Sources: global motion from projections onto rows and columns (Ratakonda, ISCAS 1998, as cameras stabilise
with); shake as what is left of the camera's path when its smooth part is taken off, as in stabilisation
(Grundmann, Kwatra and Essa, CVPR 2011). The path is the median over tiles of the frame, so a subject that
moves before a still camera is no shake; and only a path that turns back counts, so no pan is. The default
stands between 48 real and animated clips (0.29 and less; one walked with a phone, 0.77) and the same shaken
by 0.6 percent of the diagonal (median 0.95) or by 6 px of 640 at random (0.77).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from curation.filters import Clip, Cost, Filter, Frames

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

TILES_DOWN, TILES_ACROSS = 3, 5
FARTHEST = 0.3  # of a tile's side, by which the picture may move between two samples
CLEAR = 0.6  # correlation from which a tile's shift is believed
TEXTURE = 0.15  # mean square step of a projection, levels, under which a tile shows no shift
SMALLEST = 12  # pixels of a tile's side
# Savitzky and Golay (1964): the middle of the parabola through seven samples, three quarters of a second
PARABOLA = tuple(weight / 21 for weight in (-2, 3, 6, 7, 6, 3, -2))


class CameraShake(Filter):
    """Bounds on the trembling of the camera's path."""

    cost: ClassVar = Cost.FRAMES
    applies_to: ClassVar = ("video",)
    needs: ClassVar = (Frames(fps=9.2, long_side=160, color="gray", least=2),)
    scores: ClassVar = ("shake",)
    thresholds: ClassVar = {"max_shake": ("shake", "max")}
    reasons: ClassVar = {"max_shake": "shaky"}

    max_shake: float | None = Field(default=0.3, ge=0, description="percent of the frame's diagonal, RMS")

    def measure(self, clip: Clip) -> dict[str, float]:
        """RMS distance of the camera from its smoothed path, percent of the diagonal, where it turns back.

        0 for a clip of under 8 samples (0.8 s), or one too small to tell.
        """
        import numpy as np

        frames = clip.frames(self.needs[0])
        height, width = frames.shape[1:]
        if len(frames) <= len(PARABOLA) or min(height // TILES_DOWN, width // TILES_ACROSS) < SMALLEST:
            return {"shake": 0.0}
        steps = np.stack([_camera(profiles) for profiles in _projections(frames)], axis=1)
        return {"shake": _trembling(steps) * _turning(steps) / float(np.hypot(height, width)) * 100}


def _trembling(steps: NDArray[np.float64]) -> float:
    """Root mean square distance, in pixels, of a path from its own smoothing; [T,2] steps of it."""
    import numpy as np

    path = np.concatenate([np.zeros((1, 2)), np.cumsum(steps, axis=0)])
    around = np.lib.stride_tricks.sliding_window_view(path, len(PARABOLA), axis=0)
    away = around[..., len(PARABOLA) // 2] - around @ np.array(PARABOLA)
    return float(np.sqrt((away**2).sum(axis=1).mean()))


def _turning(steps: NDArray[np.float64]) -> float:
    """Twice the share of steps that go back: 0 for a pan however it accelerates, 1 for a random walk."""
    import numpy as np

    return 2 * float((np.vecdot(steps[1:], steps[:-1]) < 0).mean())


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
    seen = clear.sum(axis=1)
    ordered = np.sort(np.where(clear, shifts, np.inf), axis=1)
    lower, upper = (
        np.take_along_axis(ordered, twice[:, None] // 2, axis=1)[:, 0]
        for twice in (np.maximum(seen - 1, 0), seen)
    )
    enough = 2 * seen >= clear.shape[1]
    return np.where(enough, lower + upper, 0.0) / 2


def _shifts(steps: Floats) -> tuple[NDArray[np.float64], Floats]:
    """Shift of each tile between neighbours, [T-1, tiles], and the correlation of what then overlaps."""
    import numpy as np

    length = steps.shape[2]
    far = int(length * FARTHEST)
    energy = np.zeros((*steps.shape[:2], length + 1), np.float32)  # of the first n values
    np.cumsum(steps**2, axis=2, out=energy[..., 1:])
    match = np.stack([_overlap(steps, energy, shift) for shift in range(-far, far + 1)])
    best = np.clip(match.argmax(axis=0), 1, 2 * far - 1)
    low, top, high = (np.take_along_axis(match, best[None] + k, axis=0)[0] for k in (-1, 0, 1))
    bend = np.minimum(low - 2 * top + high, -1e-6)  # of the parabola through the three
    return best - far + np.clip((low - high) / (2 * bend), -0.5, 0.5), top


def _overlap(steps: Floats, energy: Floats, shift: int) -> Floats:
    """Correlation of each sample with its follower moved back by `shift`, where both are seen."""
    import numpy as np

    length = steps.shape[2]
    start, stop = max(0, -shift), length - max(0, shift)
    a, b = steps[:-1, :, start:stop], steps[1:, :, start + shift : stop + shift]
    of_a = energy[:-1, :, stop] - energy[:-1, :, start]
    of_b = energy[1:, :, stop + shift] - energy[1:, :, start + shift]
    match: Floats = np.vecdot(a, b) / np.sqrt(np.maximum(of_a * of_b, 0) + 1e-3)
    return match
