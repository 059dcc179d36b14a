"""What is said of scenes: captions short and detailed, and colours by what has them."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping
from typing import Literal

from omnivideo.shapes.palette import Kind, Motion
from omnivideo.shapes.scene import Scene, Thing

Relation = Literal["left of", "right of", "above", "below"]
NUMBERS: tuple[str, ...] = ("no", "one", "two", "three", "four", "five")
MOVING: Mapping[Motion, str] = {
    "still": "staying still",
    **{"left": "moving left", "right": "moving right", "up": "moving up", "down": "moving down"},
}
# Two things of each colour that everybody knows; "the color of grass" is then a color.
EXAMPLES: Mapping[str, tuple[str, str]] = {
    "red": ("a ripe tomato", "a fire engine"),
    "orange": ("a carrot", "a pumpkin"),
    "yellow": ("a lemon", "a sunflower"),
    "green": ("grass", "a frog"),
    "blue": ("a clear sky", "a sapphire"),
    "purple": ("an eggplant", "a plum"),
    "pink": ("a flamingo", "cotton candy"),
    "white": ("snow", "milk"),
}
# Shares of captions. The others leave out what a person would: of two things that only their kinds tell apart
# a painter has to keep track by itself, which takes the most examples.
DETAILED_SHARE, COLORED_SHARE, MOTION_SHARE, RELATION_SHARE = 0.4, 0.5, 0.65, 0.7
_REGIONS = (
    ("in the upper left", "at the top", "in the upper right"),
    ("on the left", "in the center", "on the right"),
    ("in the lower left", "at the bottom", "in the lower right"),
)


def with_article(words: str) -> str:
    """`words` after a or an."""
    return f"{'an' if words[0] in 'aeiou' else 'a'} {words}"


def plural(kind: Kind) -> str:
    """Several of a kind."""
    return f"{kind}es" if kind == "cross" else f"{kind}s"


def several(kind: Kind, count: int, *adjectives: str) -> str:
    """A count of things of a kind, such as "three red circles"; one has an article."""
    if count == 1:
        return with_article(" ".join((*adjectives, kind)))
    return " ".join((NUMBERS[count], *adjectives, plural(kind)))


def joined(parts: Iterable[str]) -> str:
    """A list of phrases with an "and"."""
    *first, last = parts
    return f"{', '.join(first)} and {last}" if first else last


def region(x: float, y: float) -> str:
    """Which ninth of the frame a point is in: "in the upper left", "at the top", "in the center", ..."""
    return _REGIONS[_third(y)][_third(x)]


def _third(value: float) -> int:
    return (value > 0.38) + (value > 0.62)


def relation(one: Thing, other: Thing) -> Relation | None:
    """Where one is of another from first frame to last, if that is beyond doubt."""
    found = {_relation(one, other, moment) for moment in (0.0, 0.5, 1.0)}
    return found.pop() if len(found) == 1 else None


def _relation(one: Thing, other: Thing, moment: float) -> Relation | None:
    (x, y), (at_x, at_y) = one.at(moment), other.at(moment)
    across, down = x - at_x, y - at_y
    if abs(across) > 2 * abs(down):
        return "left of" if across < 0 else "right of"
    if abs(down) > 2 * abs(across):
        return "above" if down < 0 else "below"
    return None


def alike(scene: Scene) -> bool:
    """Whether all things of a scene are of one kind and colour."""
    return len({(thing.kind, thing.color) for thing in scene.things}) == 1


def caption(scene: Scene, rng: random.Random, moving: bool, simple: bool = False) -> str:
    """One of the ways to describe a scene, of a video if `moving`. All that it says is true.

    `simple`: its only thing by colour and kind, as a person asks for it; a fifth name the background too.
    """
    if simple:
        (thing,) = scene.things
        return _on_background(with_article(f"{thing.color} {thing.kind}"), scene, rng)
    return detailed(scene, moving) if rng.random() < DETAILED_SHARE else _short(scene, rng, moving)


def detailed(scene: Scene, moving: bool) -> str:
    """Everything: sizes, colours, kinds, places where things are first, motions and the background."""
    if alike(scene) and len(scene.things) > 1:
        thing = scene.things[0]
        told = several(thing.kind, len(scene.things), thing.size, thing.color)
        told += f" {MOVING[thing.motion]}" if moving else ""
    else:
        told = joined(_whole(thing, moving) for thing in scene.things)
    return f"{told}, on {with_article(scene.background)} background"


def _whole(thing: Thing, moving: bool) -> str:
    told = f"{with_article(f'{thing.size} {thing.color} {thing.kind}')} {region(thing.x, thing.y)}"
    return f"{told} {MOVING[thing.motion]}" if moving else told


def _short(scene: Scene, rng: random.Random, moving: bool) -> str:
    colored, told_motion = rng.random() < COLORED_SHARE, moving and rng.random() < MOTION_SHARE
    things = list(scene.things)

    def name(thing: Thing, count: int = 1) -> str:
        told = several(thing.kind, count, *([thing.color] if colored else []))
        return f"{told} {MOVING[thing.motion]}" if told_motion and thing.motion != "still" else told

    if alike(scene):
        return _on_background(name(things[0], len(things)), scene, rng)
    rng.shuffle(things)
    where = relation(things[0], things[1]) if len(things) == 2 else None
    if where and not told_motion and rng.random() < RELATION_SHARE:
        return f"{name(things[0])} {where} {name(things[1])}"
    return _on_background(joined(map(name, things)), scene, rng)


def _on_background(told: str, scene: Scene, rng: random.Random) -> str:
    return f"{told} on {with_article(scene.background)} background" if rng.random() < 0.2 else told
