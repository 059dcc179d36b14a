"""Line charts as the numbers that an inline SVG needs: paths, ticks, end labels."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

Points = Sequence[tuple[float, float]]
WIDTH, HEIGHT = 380, 170
LEFT, RIGHT, TOP, BOTTOM = 44, 10, 10, 24
MOST_POINTS = 240
FEW = 48  # points that are still told apart as dots


def chart(curves: Mapping[str, Points], steps: int, marks: Sequence[int] = ()) -> dict[str, Any] | None:
    """Return a chart of curves over steps 0 to `steps`, with upright `marks`; None if nothing is to be shown.

    The scale is logarithmic where values span more than a factor of twelve.
    """
    shown = {name: points for name, points in curves.items() if points}
    values = [y for points in shown.values() for _, y in points]
    if not values:
        return None
    low, high = min(values), max(values)
    logarithmic = low > 0 and high / low > 12
    scale = math.log10 if logarithmic else float
    bottom, top = _room(scale(low), scale(high))

    def place(x: float, y: float) -> tuple[float, float]:
        across = LEFT + x / max(steps, 1) * (WIDTH - LEFT - RIGHT)
        up = (scale(y) - bottom) / (top - bottom)
        return round(across, 1), round(HEIGHT - BOTTOM - up * (HEIGHT - TOP - BOTTOM), 1)

    lines = [
        _line(name, [place(*point) for point in thinned(points)], points) for name, points in shown.items()
    ]
    ticks = _decades(low, high) if logarithmic else _round_values(bottom, top)
    return {
        **{"width": WIDTH, "height": HEIGHT, "left": LEFT, "right": WIDTH - RIGHT, "base": HEIGHT - BOTTOM},
        "top": TOP,
        "lines": lines,
        "ys": [{"at": place(0, tick)[1], "label": f"{tick:.4g}"} for tick in ticks],
        "xs": [{"at": place(tick, high)[0], "label": f"{tick:,}"} for tick in _whole_steps(steps)],
        "marks": [place(mark, high)[0] for mark in marks],
    }


def thinned(points: Points) -> Points:
    """Return at most MOST_POINTS points, each the mean of as many neighbours."""
    size = math.ceil(len(points) / MOST_POINTS)
    if size <= 1:
        return points
    groups = [points[start : start + size] for start in range(0, len(points), size)]
    return [(sum(x for x, _ in g) / len(g), sum(y for _, y in g) / len(g)) for g in groups]


def _line(name: str, placed: Sequence[tuple[float, float]], points: Points) -> dict[str, Any]:
    path = "M" + "L".join(f"{x} {y}" for x, y in placed)
    dots = placed if len(placed) <= FEW else placed[-1:]
    return {"name": name, "path": path, "dots": dots, "last": points[-1][1]}


def _room(low: float, high: float) -> tuple[float, float]:
    spare = (high - low) * 0.06 or max(abs(high) * 0.06, 1e-6)
    return low - spare, high + spare


def _round_values(low: float, high: float, about: int = 4) -> list[float]:
    unit = 10 ** math.floor(math.log10((high - low) / about))
    step = next(m * unit for m in (1, 2, 2.5, 5, 10, 20) if (high - low) / (m * unit) <= about)
    first = math.ceil(low / step)
    return [round(n * step, 10) for n in range(first, math.floor(high / step) + 1)]


def _decades(low: float, high: float) -> list[float]:
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    ticks = [m * 10.0**p for p in powers for m in (1, 3) if low <= m * 10.0**p <= high]
    return ticks if len(ticks) <= 6 else ticks[:: math.ceil(len(ticks) / 6)]


def _whole_steps(steps: int) -> list[int]:
    unit = next(m * 10**p for p in range(12) for m in (1, 2, 5) if steps / (m * 10**p) <= 5)
    return list(range(0, steps + 1, unit))
