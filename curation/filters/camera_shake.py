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
    import cv2
    import numpy as np

    count, height, width = frames.shape
    down, across = height // TILES_DOWN, width // TILES_ACROSS
    cut = np.ascontiguousarray(frames[:, : TILES_DOWN * down, : TILES_ACROSS * across])
    # Sums of whole numbers, so exact; numpy's mean along a line takes ten times as long.
    lines = cv2.reduce(cut.reshape(-1, across), 1, cv2.REDUCE_SUM, dtype=cv2.CV_32S)
    lines = lines.reshape(count, TILES_DOWN, down, TILES_ACROSS).swapaxes(2, 3).reshape(count, -1, down)
    columns = cut.reshape(count, TILES_DOWN, down, -1).sum(axis=2, dtype=np.uint16)
    columns = columns.reshape(count, -1, across)
    return lines.astype(np.float32) / across, columns.astype(np.float32) / down


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

    far = int(steps.shape[2] * FARTHEST)
    match = _overlaps(steps, np.arange(-far, far + 1))
    best = np.clip(match.argmax(axis=0), 1, 2 * far - 1)
    low, top, high = (np.take_along_axis(match, best[None] + k, axis=0)[0] for k in (-1, 0, 1))
    bend = np.minimum(low - 2 * top + high, -1e-6)  # of the parabola through the three
    return best - far + np.clip((low - high) / (2 * bend), -0.5, 0.5), top


def _overlaps(steps: Floats, shifts: NDArray[np.intp]) -> Floats:
    """[shifts, T-1, tiles] correlation of each sample with its follower moved back, where both are seen."""
    import numpy as np

    length = steps.shape[2]
    energy = np.zeros((length + 1, *steps.shape[:2]), np.float32)  # of the first n values
    np.cumsum((steps**2).transpose(2, 0, 1), axis=0, out=energy[1:])
    starts, stops = np.maximum(0, -shifts), length - np.maximum(0, shifts)
    of_a = energy[stops, :-1] - energy[starts, :-1]
    of_b = energy[stops + shifts, 1:] - energy[starts + shifts, 1:]
    spans = zip(starts.tolist(), stops.tolist(), shifts.tolist(), strict=True)
    match: Floats = np.stack(
        [np.vecdot(steps[:-1, :, a:b], steps[1:, :, a + shift : b + shift]) for a, b, shift in spans]
    )
    match /= np.sqrt(np.maximum(of_a * of_b, 0) + 1e-3)
    return match
