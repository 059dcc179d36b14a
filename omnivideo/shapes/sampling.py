"""Scenes from seeds. Those to train on leave out the held-out combinations of kind and colour.

The same seed, split and number give the same scene on any machine, whatever came before it.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable
from dataclasses import replace
from typing import Literal, TypeVar

from omnivideo.shapes.palette import (
    BACKGROUNDS,
    COLORS,
    DIRECTIONS,
    KINDS,
    MOTIONS,
    SIZES,
    Kind,
    Motion,
    Size,
    held_out,
)
from omnivideo.shapes.scene import Scene, Thing, fits, room

Split = Literal["train", "test"]
Made = TypeVar("Made")
TRIES = 4000
COUNTS = {1: 30, 2: 40, 3: 16, 4: 14}  # of things in a scene, in percent
SAME_SHARE = 0.5  # of scenes with several things, those where all have one kind and colour
MIDDLE = (0.44, 0.56)  # of the frame's side: where a simple scene's thing has its centre


def generator(*parts: object) -> random.Random:
    """Random numbers that depend on `parts` alone."""
    text = ":".join(map(str, parts))
    return random.Random(hashlib.sha256(text.encode()).digest())


def sample_scene(
    rng: random.Random, split: Split, moving: bool, count: int | None = None, simple: bool = False
) -> Scene:
    """A scene of one to four things, in a video (`moving`) of two at most that move.

    Things of one kind and colour are alike in all but position, others differ in kind and in colour, so that
    words can name each. A `simple` one is a first lesson: a large thing that stays about the middle, before
    black or gray.
    """
    if simple:
        return _simple(rng, split)
    number = count or rng.choices(list(COUNTS), list(COUNTS.values()))[0]
    background, planned = rng.choice(list(BACKGROUNDS)), _plan(rng, split, moving, number)
    return Scene(background, tuple(until_made(lambda: _placed(rng, planned))))


def _simple(rng: random.Random, split: Split) -> Scene:
    x, y = (round(rng.uniform(*MIDDLE), 3) for _ in range(2))
    thing = Thing(*sample_look(rng, split, set(), set()), "large", x, y)
    return Scene(rng.choice(list(BACKGROUNDS)[:2]), (thing,))


def until_made(attempt: Callable[[], Made | None]) -> Made:
    """The first result of `attempt`; it may fail often, as things are dropped at random places."""
    for _ in range(TRIES):
        made = attempt()
        if made is not None:
            return made
    raise RuntimeError(f"no scene in {TRIES} attempts")  # never seen: crowded ones take some hundreds


def sample_look(
    rng: random.Random, split: Split, not_kinds: set[Kind], not_colors: set[str]
) -> tuple[Kind, str]:
    """A kind and a colour that the split may show, neither among those given."""
    looks = [
        (kind, color)
        for kind in KINDS
        if kind not in not_kinds
        for color in COLORS
        if color not in not_colors and not (split == "train" and held_out(kind, color))
    ]
    return rng.choice(looks)


def placed(rng: random.Random, thing: Thing) -> Thing:
    """The thing somewhere in the frame, from where it does not leave it."""
    x, y = (round(rng.uniform(low + 5e-4, high - 5e-4), 3) for low, high in room(thing))
    return replace(thing, x=x, y=y)


def _plan(rng: random.Random, split: Split, moving: bool, number: int) -> list[Thing]:
    """What is in a scene, before anything has its place: or what is hard to place would be rare."""
    alike = number > 1 and rng.random() < SAME_SHARE
    motions = _motions(rng, number, alike) if moving else MOTIONS[:1] * number
    sizes = _sizes(rng, motions, alike)
    things: list[Thing] = []
    look = sample_look(rng, split, set(), set())
    for size, motion in zip(sizes, motions, strict=True):
        if things and not alike:
            look = sample_look(rng, split, {one.kind for one in things}, {one.color for one in things})
        things.append(Thing(*look, size, 0.5, 0.5, motion))
    return things


def _placed(rng: random.Random, things: list[Thing]) -> list[Thing] | None:
    found: list[Thing] = []
    for thing in things:
        found.append(placed(rng, thing))
        if not fits(found):
            return None
    return found


def _sizes(rng: random.Random, motions: tuple[Motion, ...], alike: bool) -> tuple[Size, ...]:
    """Of each thing: large ones need room, which three do not leave, nor two that move."""
    number, moving = len(motions), sum(motion != "still" for motion in motions)
    if number > 2 or moving > 1:
        return tuple(SIZES[:1] * number)
    if alike:
        return (rng.choice(SIZES),) * number
    large = rng.randrange(2)  # of two, one at most while the other moves
    return tuple(SIZES[0] if moving and i != large else rng.choice(SIZES) for i in range(number))


def _motions(rng: random.Random, number: int, alike: bool) -> tuple[Motion, ...]:
    """Of each thing: one alone mostly moves; two do alike, or as they like; of three one; of four none."""
    if number == 4 or (alike and number == 3):
        return tuple(MOTIONS[:1] * number)
    if alike:
        return (rng.choice(MOTIONS),) * number
    moving = rng.choices((0, 1, 2), (15, 60, 25))[0]
    chosen: list[Motion] = [rng.choice(DIRECTIONS) for _ in range(min(moving, number if number < 3 else 1))]
    chosen += MOTIONS[:1] * (number - len(chosen))
    rng.shuffle(chosen)
    return tuple(chosen)
