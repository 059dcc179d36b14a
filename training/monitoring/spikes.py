"""Which losses are spikes: far above those of the steps before."""

from __future__ import annotations

import statistics
from collections import deque
from collections.abc import Iterable

WINDOW_STEPS = 64
LEAST_STEPS = 8
"""Before a median says anything. Tasks take turns, and differ."""


class SpikeWatch:
    """Judges losses by `factor` × the median of those taken lately; judges none if `factor` is None."""

    def __init__(self, factor: float | None, taken: Iterable[float]) -> None:
        self._factor = factor
        self._taken = deque(taken, maxlen=WINDOW_STEPS)

    def limit(self) -> float | None:
        """Return the loss above which a step is a spike, None while there is none."""
        if self._factor is None or len(self._taken) < LEAST_STEPS:
            return None
        return self._factor * statistics.median(self._taken)

    def take(self, loss: float | None) -> None:
        """Count the loss of a step that was taken."""
        if loss is not None:
            self._taken.append(loss)
