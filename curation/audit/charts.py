"""Geometry of the page's charts: numbers in, coordinates out. The templates draw them as SVG.

Horizontal places are percentages of the drawing, so that bars stretch with the page and text does not; the
funnel's curves need a fixed drawing of WIDTH pixels.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from curation.audit.histogram import ticks

PLOT_HEIGHT = 132  # pixels, bars of a histogram
WIDTH = 1080

_LEFT, _RIGHT, _TOP = 8, 150, 58
_TRUNK = 150  # pixels, height of all clips
_FALL = 46  # pixels between the trunk and what fell off it


def bars(histogram: Mapping[str, Any]) -> dict[str, Any]:
    """Stacked bars, ticks and threshold lines of a histogram, places in percent, heights in pixels."""
    series, bins = histogram["series"], histogram["bins"]
    peak = max((sum(cell[name] for name in series) for cell in bins), default=0) or 1
    width = 100 / len(bins)
    return {
        "height": PLOT_HEIGHT,
        "peak": peak,
        "bars": [
            {
                "x": _places(place * width),
                "width": _places(width),
                "parts": _stack(cell, series, peak),
                "bin": cell,
            }
            for place, cell in enumerate(bins)
        ],
        "ticks": [
            {"x": _places(100 * _along(histogram, value)), "value": value}
            for value in ticks(histogram["from"], histogram["to"], histogram["log"])
        ],
        "marks": [_mark(mark, place) for place, mark in enumerate(histogram["marks"])],
    }


def _stack(cell: Mapping[str, Any], series: Sequence[str], peak: int) -> list[dict[str, Any]]:
    parts, top = [], float(PLOT_HEIGHT)
    for name in series:
        if cell[name]:
            height = max(1.0, PLOT_HEIGHT * cell[name] / peak)
            top -= height
            parts.append({"series": name, "y": _places(max(top, 0)), "height": _places(height)})
    return parts


def _mark(mark: Mapping[str, Any], place: int) -> dict[str, Any]:
    inside = min(max(mark["position"], 0.0), 1.0)
    return {
        **mark,
        "x": _places(100 * inside),
        "off": None if inside == mark["position"] else ("left" if mark["position"] < 0 else "right"),
        "row": place,
        "anchor": "end" if inside > 0.6 else "start",
    }


def _along(histogram: Mapping[str, Any], value: float) -> float:
    low, high = histogram["from"], histogram["to"]
    if histogram["log"]:
        low, high, value = math.log10(low), math.log10(high), math.log10(value)
    return (value - low) / (high - low) if high > low else 0.0


def river(funnel: Mapping[str, Any]) -> dict[str, Any]:
    """The funnel as a stream from all clips to the kept ones, each step's rejects falling off it.

    Heights are to scale, so what falls and what stays adds up to what came; a band under two pixels is drawn
    with two.
    """
    clips = funnel["clips"]
    steps = [step for step in funnel["steps"] if step["dropped"] > 0]
    if not clips:
        return {"width": WIDTH, "height": 0, "steps": [], "trunk": "", "kept": None}
    scale = _TRUNK / clips
    start = _LEFT + 100
    stride = (WIDTH - _RIGHT - start) / max(1, len(steps))
    fallen = max((step["dropped"] for step in steps), default=0) * scale
    drawn = [_fall(step, start + place * stride, stride, scale) for place, step in enumerate(steps)]
    kept_y, kept_height = _TOP, max(2.0 if funnel["kept"] else 0.0, funnel["kept"] * scale)
    return {
        "width": WIDTH,
        "height": math.ceil(_TOP + _TRUNK + (_FALL + fallen + 58 if steps else 20)),
        "top": _TOP,
        "trunk_height": _TRUNK,
        "left": _LEFT,
        "start": _LEFT,
        "trunk": _trunk(steps, clips, start, stride, scale),
        "steps": drawn,
        "kept": {"x": WIDTH - _RIGHT, "y": kept_y, "height": _places(kept_height)},
    }


def _trunk(steps: Sequence[Mapping[str, Any]], clips: int, start: float, stride: float, scale: float) -> str:
    """Outline of the stream: level on top, one step down on its underside for each that dropped clips."""
    path = [f"M{_LEFT} {_TOP}", f"H{WIDTH - _RIGHT}"]
    under = []
    left = clips
    for place, step in enumerate(steps):
        x = _places(start + place * stride)
        under.append((x, _places(_TOP + left * scale)))
        left = step["left"]
        under.append((x, _places(_TOP + left * scale)))
    path.append(f"V{_places(_TOP + left * scale)}")
    path += [f"L{x} {y}" for x, y in reversed(under)]
    path += [f"L{_LEFT} {_places(_TOP + clips * scale)}", "Z"]
    return " ".join(path)


def _fall(step: Mapping[str, Any], x: float, stride: float, scale: float) -> dict[str, Any]:
    thick = max(2.0, step["dropped"] * scale)
    upper = _TOP + step["left"] * scale
    end, middle = x + min(stride * 0.62, 96), x + min(stride * 0.31, 48)
    low = _TOP + _TRUNK + _FALL
    curve = (
        f"M{_places(x)} {_places(upper)} C{_places(middle)} {_places(upper)} {_places(middle)} {low} "
        f"{_places(end)} {low} V{_places(low + thick)} C{_places(middle)} {_places(low + thick)} "
        f"{_places(middle)} {_places(upper + thick)} {_places(x)} {_places(upper + thick)} Z"
    )
    return {
        **step,
        "path": curve,
        "x": _places(end),
        "y": low,
        "thick": _places(thick),
        "label_y": _places(low + thick + 17),
        "label_x": _places(max(x + 2, end - 60)),
        "room": int((stride - 6) / 7),  # characters that fit beside the next label
    }


def _places(value: float) -> float:
    return round(value, 2)
