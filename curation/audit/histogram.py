"""Histograms whose bins meet at the thresholds, so that no bar lies on both sides of one."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from curation.audit.rows import Rows, rounded

_FEWEST_BINS, _MOST_BINS = 12, 50
_LOG_RATIO = 50.0  # the range, as a ratio, from which a skewed score is drawn over its logarithm
_SKEW = 0.2  # where the median lies in that range, for a score that counts as skewed


@dataclass(frozen=True)
class Axis:
    """Bins [first, last] of one width, counted from an anchor; over log10 of the value if `log`."""

    anchor: float
    width: float
    first: int
    last: int
    log: bool
    upper: bool  # a value on an edge falls in the bin below it, as a "max" threshold has it

    def edge(self, index: int) -> float:
        """Lower edge of bin `index`, in the value's own unit."""
        place = self.anchor + index * self.width
        return _short(10**place if self.log else place)

    def position(self, value: float) -> float:
        """Where a value lies on the axis: 0 at its left end, 1 at its right end, beyond for one outside."""
        place = math.log10(value) if self.log and value > 0 else (-math.inf if self.log else value)
        low = self.anchor + self.first * self.width
        return (place - low) / ((self.last + 1 - self.first) * self.width)

    def sql(self, value: str) -> str:
        """SQL: the bin of a value, the outermost bins holding all beyond."""
        shifted = f"log10({value}) - ({self.anchor!r})" if self.log else f"({value}) - ({self.anchor!r})"
        index = f"({shifted}) / {self.width!r}"
        index = f"ceil({index}) - 1" if self.upper else f"floor({index})"
        return f"greatest(least({index}, {self.last}), {self.first})::INTEGER"


def histogram(
    rows: Rows,
    value: str,
    series: Mapping[str, str],
    where: str = "",
    marks: Sequence[tuple[float, str]] = (),
) -> dict[str, Any] | None:
    """Counts per bin of SQL expression `value`, one count for each of `series` (name -> SQL condition).

    `marks` are (threshold, "min" or "max"). None if no row has a finite value.
    """
    finite = f"isfinite({value})" + (f" AND {where}" if where else "")
    spread = rows.ask(f"""
        SELECT count(*) AS count, min({value}) AS min, max({value}) AS max, avg({value}) AS mean,
        quantile_cont({value}, 0.005) AS low, quantile_cont({value}, 0.5) AS median,
        quantile_cont({value}, 0.995) AS high, bool_and({value} = floor({value})) AS whole
        FROM rows WHERE {finite}
    """)
    seen = spread["rows"][0]
    if not seen["count"]:
        return None
    axis = choose_axis(seen, marks)
    counted = ",\n".join(f'count(*) FILTER ({condition}) AS "{name}"' for name, condition in series.items())
    bins = rows.ask(f"""
        SELECT {axis.sql(value)} AS bin,
        {counted}
        FROM rows WHERE {finite} GROUP BY bin ORDER BY bin
    """)
    return {
        **{key: seen[key] for key in ("count", "min", "median", "mean", "max")},
        "log": axis.log,
        "from": axis.edge(axis.first),
        "to": axis.edge(axis.last + 1),
        "open_left": seen["min"] < axis.edge(axis.first),
        "open_right": seen["max"] > axis.edge(axis.last + 1),
        "series": list(series),
        "bins": _filled(axis, bins["rows"], list(series)),
        "marks": [
            {"value": mark, "side": side, "position": rounded(axis.position(mark))} for mark, side in marks
        ],
        "figures": {"spread": spread, "bins": bins},
    }


def choose_axis(seen: Mapping[str, Any], marks: Sequence[tuple[float, str]]) -> Axis:
    """Bins over the middle 99 % of the values, and over the thresholds that lie near them."""
    low, high = float(seen["low"]), float(seen["high"])
    positive = seen["min"] > 0 and all(value > 0 for value, _ in marks)
    skewed = positive and high / low > _LOG_RATIO and (seen["median"] - low) < _SKEW * (high - low)
    if skewed:
        low, high = math.log10(low), math.log10(high)
    places = [math.log10(value) if skewed else float(value) for value, _ in marks]
    reach = (high - low) or abs(high) or 1.0
    near = [place for place in places if low - reach <= place <= high + reach]
    whole = bool(seen.get("whole")) and not skewed
    bins = min(max(2 * math.isqrt(seen["count"]), _FEWEST_BINS), _MOST_BINS)
    upper = bool(marks) and marks[0][1] == "max"
    axis = Axis(*_bins(low, high, near, bins, whole), skewed, upper)
    # The last bin may reach over a threshold that was not near: that one has to lie on an edge, too.
    on = [place for place, (mark, _) in zip(places, marks, strict=True) if 0 <= axis.position(mark) <= 1]
    if set(on) > set(near):
        axis = Axis(*_bins(low, high, on, bins, whole), skewed, upper)
    return axis


def _bins(
    low: float, high: float, near: Sequence[float], bins: int, whole: bool
) -> tuple[float, float, int, int]:
    """Anchor, width, first and last of about `bins` bins over the values and the places in `near`."""
    low, high = min([low, *near]), max([high, *near])
    width = _nice((high - low) / bins if high > low else abs(high) / 10 or 0.1, whole)
    gap = max(near) - min(near) if near else 0.0
    if gap >= width and not whole:
        width = gap / round(gap / width)
    anchor = near[0] if near else 0.0
    first = math.floor((low - anchor) / width + 1e-9)
    last = max(first, math.ceil((high - anchor) / width - 1e-9) - 1)
    if high == low:  # one value: in the middle, not across the whole chart
        first, last = first - 3, first + 3
    elif high - (anchor + last * width) > width * (1 - 1e-9):
        last += 1
    return anchor, width, first, last


def ticks(low: float, high: float, log: bool, count: int = 5) -> list[float]:
    """Round values between two ends of an axis."""
    if not high > low:
        return [low]
    if log:
        decades = range(math.ceil(math.log10(low) - 1e-9), math.floor(math.log10(high) + 1e-9) + 1)
        fine = [1, 2, 5] if len(decades) < 3 else [1]
        return [
            _short(step * 10.0**decade)
            for decade in range(decades.start - 1, decades.stop)
            for step in fine
            if low <= step * 10.0**decade * (1 + 1e-9) and step * 10.0**decade <= high * (1 + 1e-9)
        ]
    width = _nice((high - low) / count)
    return [
        _short(index * width)
        for index in range(math.ceil(low / width - 1e-9), math.floor(high / width + 1e-9) + 1)
    ]


def _filled(axis: Axis, found: list[dict[str, Any]], series: list[str]) -> list[dict[str, Any]]:
    by_bin = {row["bin"]: row for row in found}
    return [
        {
            "from": axis.edge(index),
            "to": axis.edge(index + 1),
            **{name: by_bin.get(index, {}).get(name, 0) for name in series},
        }
        for index in range(axis.first, axis.last + 1)
    ]


def _nice(width: float, whole: bool = False) -> float:
    """The smallest of 1, 2, 2.5, 5 or 10 times a power of ten that is not under `width`, or not under 1."""
    width = max(width, 1.0) if whole else width
    power = 10.0 ** math.floor(math.log10(width))
    steps = (1, 2, 5, 10) if whole else (1, 2, 2.5, 5, 10)
    return next(step * power for step in steps if step * power >= width * (1 - 1e-9))


def _short(value: float) -> float:
    """Without the last bits of rounding: 0.30000000000000004 is 0.3."""
    return rounded(round(value, 12)) or 0.0
