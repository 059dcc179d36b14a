"""What there is in the world of shapes: kinds, colours, backgrounds, sizes and motions, by name."""

from __future__ import annotations

import math
from typing import Literal, get_args

Kind = Literal["circle", "square", "triangle", "star", "cross", "diamond"]
Size = Literal["small", "large"]
Motion = Literal["still", "left", "right", "up", "down"]
Point = tuple[float, float]

KINDS: tuple[Kind, ...] = get_args(Kind)
SIZES: tuple[Size, ...] = get_args(Size)
MOTIONS: tuple[Motion, ...] = get_args(Motion)
DIRECTIONS: tuple[Motion, ...] = MOTIONS[1:]

# sRGB. Colours of shapes differ in hue, not in brightness alone; backgrounds are dark and shapes bright, as
# video keeps colour at half the resolution of brightness: blurred and compressed they stay what they are.
COLORS: dict[str, tuple[int, int, int]] = {
    "red": (235, 45, 45),
    "orange": (250, 145, 20),
    "yellow": (245, 230, 60),
    "green": (45, 190, 70),
    "blue": (60, 120, 255),
    "purple": (165, 70, 220),
    "pink": (250, 160, 205),
    "white": (245, 245, 245),
}
BACKGROUNDS: dict[str, tuple[int, int, int]] = {
    "black": (8, 8, 8),
    "gray": (66, 66, 66),
    "brown": (74, 42, 16),
    "navy": (14, 20, 84),
    "teal": (0, 62, 64),
}
RADIUS: dict[Size, float] = {"small": 0.13, "large": 0.21}  # of a frame's side, centre to farthest point
STEP: dict[Motion, Point] = {
    "still": (0.0, 0.0),
    "left": (-1.0, 0.0),
    "right": (1.0, 0.0),
    "up": (0.0, -1.0),
    "down": (0.0, 1.0),
}
TRAVEL = 0.4  # of a frame's side, from a moving thing's first frame to its last

_HELD_OUT = {
    *(("circle", "purple"), ("square", "yellow"), ("triangle", "blue")),
    *(("star", "green"), ("cross", "pink"), ("diamond", "red")),
}


def held_out(kind: str, color: str) -> bool:
    """Whether training never shows this kind in this colour; each kind lacks one, six of 48 in all."""
    return (kind, color) in _HELD_OUT


def outline(kind: Kind) -> tuple[Point, ...]:
    """Corners of a kind within the unit circle, y downwards; a circle has 48."""
    return _OUTLINES[kind]


def _polygon(corners: int, first_degrees: float, radii: tuple[float, ...] = (1.0,)) -> tuple[Point, ...]:
    angles = (math.radians(first_degrees + 360 * i / corners) for i in range(corners))
    return tuple(
        (radii[i % len(radii)] * math.cos(a), radii[i % len(radii)] * math.sin(a))
        for i, a in enumerate(angles)
    )


def _cross(arm: float = 0.27, end: float = 0.95) -> tuple[Point, ...]:
    quarter = [(end, -arm), (end, arm), (arm, arm)]
    turned = [[(x, y), (-y, x), (-x, -y), (y, -x)] for x, y in quarter]
    return tuple(turned[corner][turn] for turn in range(4) for corner in range(3))


_OUTLINES: dict[Kind, tuple[Point, ...]] = {
    "circle": tuple((0.9 * x, 0.9 * y) for x, y in _polygon(48, 0)),
    "square": _polygon(4, 45),
    "triangle": _polygon(3, -90),
    "star": _polygon(10, -90, (1.0, 0.42)),
    "cross": _cross(),
    "diamond": tuple((0.72 * x, y) for x, y in _polygon(4, 0)),
}
