"""How a learning rate falls, of phases and of backbones."""

from __future__ import annotations

import math


def falling(done: float, final: float) -> float:
    """Return the share of the rate that is left when `done` of [0, 1] is behind: a cosine, 1 to `final`."""
    return final + (1 - final) * (0.5 * (1 + math.cos(math.pi * done)))
