"""Scenes: what is where, and where it goes. Positions and lengths are shares of a frame's side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any

from omnivideo.shapes.palette import RADIUS, STEP, TRAVEL, Kind, Motion, Point, Size

GAP = 0.04  # between things, and to the frame's edge
MOMENTS = tuple(i / 8 for i in range(9))


@dataclass(frozen=True)
class Thing:
    """One shape. (x, y) is its centre when the clip begins, from the upper left corner."""

    kind: Kind
    color: str
    size: Size
    x: float
    y: float
    motion: Motion = "still"

    def at(self, moment: float) -> Point:
        """Its centre at a moment of the clip, 0 for the first frame and 1 for the last."""
        along, down = STEP[self.motion]
        return self.x + along * TRAVEL * moment, self.y + down * TRAVEL * moment

    @property
    def radius(self) -> float:
        """From its centre to the farthest point."""
        return RADIUS[self.size]


@dataclass(frozen=True)
class Scene:
    """Things before a plain background; in an image nothing moves."""

    background: str
    things: tuple[Thing, ...]

    def as_json(self) -> dict[str, Any]:
        """The scene as plain values."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Scene:
        """The scene that `as_json` wrote."""
        return cls(value["background"], tuple(Thing(**thing) for thing in value["things"]))


def room(thing: Thing) -> tuple[Point, Point]:
    """The least and greatest x, and the same of y, from which a thing stays inside the frame all along."""
    margin, (along, down) = thing.radius + GAP, STEP[thing.motion]
    return _range(margin, along * TRAVEL), _range(margin, down * TRAVEL)


def _range(margin: float, travel: float) -> Point:
    return margin - min(0.0, travel), 1 - margin - max(0.0, travel)


def fits(things: Sequence[Thing]) -> bool:
    """Whether all things stay inside the frame and apart from each other from first frame to last."""
    return all(map(_inside, things)) and all(_apart(one, other) for one, other in combinations(things, 2))


def _inside(thing: Thing) -> bool:
    (left, right), (top, bottom) = room(thing)
    return left <= thing.x <= right and top <= thing.y <= bottom


def _apart(one: Thing, other: Thing) -> bool:
    least = (one.radius + other.radius + GAP) ** 2
    return all(_squared(one.at(moment), other.at(moment)) >= least for moment in MOMENTS)


def _squared(a: Point, b: Point) -> float:
    return (a[0] - b[0]) ** 2 + (a[1] - b[1]) ** 2
