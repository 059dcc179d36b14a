"""Questions about scenes with one right answer each, of one word; and requests that need thinking first."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from itertools import permutations

from omnivideo.shapes.palette import COLORS, KINDS, Kind
from omnivideo.shapes.scene import Scene, Thing
from omnivideo.shapes.words import EXAMPLES, NUMBERS, alike, plural, relation, several, with_article

Turn = tuple[str, str]  # question, answer
Asker = Callable[[Scene, random.Random, bool], Iterator[Turn]]
TURNS = 3


def ask(scene: Scene, rng: random.Random, moving: bool, turns: int = TURNS) -> list[Turn]:
    """Different questions about a scene, each kind of question as likely as the next."""
    askers = list(ASKERS.values())
    rng.shuffle(askers)
    found: list[Turn] = []
    for asker in askers:
        possible = list(asker(scene, rng, moving))
        if possible and len(found) < turns:
            found.append(rng.choice(possible))
    return found


def indirect(kind: Kind, color: str, rng: random.Random, count: int = 1) -> Turn:
    """A request whose colour is told by a thing that has it, and the same said plainly."""
    example = rng.choice(EXAMPLES[color])
    return f"{several(kind, count)} the color of {example}", several(kind, count, color)


def fact(color: str, rng: random.Random) -> Turn:
    """What `indirect` takes for known, as a question that needs no picture."""
    return f"What is the color of {rng.choice(EXAMPLES[color])}?", color


def _color(scene: Scene, rng: random.Random, moving: bool) -> Iterator[Turn]:
    for thing in _named(scene):
        yield f"What color is the {thing.kind}?", thing.color


def _kind(scene: Scene, rng: random.Random, moving: bool) -> Iterator[Turn]:
    for thing in _named(scene):
        yield f"What shape is {thing.color}?", thing.kind


def _size(scene: Scene, rng: random.Random, moving: bool) -> Iterator[Turn]:
    for thing in _named(scene):
        yield f"Is the {thing.kind} small or large?", thing.size


def _count(scene: Scene, rng: random.Random, moving: bool) -> Iterator[Turn]:
    yield "How many shapes are there?", NUMBERS[len(scene.things)]
    if alike(scene):
        yield f"How many {plural(scene.things[0].kind)} are there?", NUMBERS[len(scene.things)]


def _background(scene: Scene, rng: random.Random, moving: bool) -> Iterator[Turn]:
    yield "What color is the background?", scene.background


def _presence(scene: Scene, rng: random.Random, moving: bool) -> Iterator[Turn]:
    """As often no as yes; where it is no, the kind or the colour is there, so that both must be looked at."""
    thing = rng.choice(scene.things)
    if rng.random() < 0.5:
        yield f"Is there {with_article(f'{thing.color} {thing.kind}')}?", "yes"
        return
    there = {(one.color, one.kind) for one in scene.things}
    near = [(color, thing.kind) for color in COLORS] + [(thing.color, kind) for kind in KINDS]
    color, kind = rng.choice([look for look in near if look not in there])
    yield f"Is there {with_article(f'{color} {kind}')}?", "no"


def _position(scene: Scene, rng: random.Random, moving: bool) -> Iterator[Turn]:
    for one, other in permutations(_named(scene), 2):
        where = relation(one, other)
        if where in ("left of", "right of"):
            question = f"Is the {one.kind} left or right of the {other.kind}?"
            yield question, where.removesuffix(" of")
        elif where:
            yield f"Is the {one.kind} above or below the {other.kind}?", where


def _motion(scene: Scene, rng: random.Random, moving: bool) -> Iterator[Turn]:
    if moving and alike(scene) and len(scene.things) > 1:
        yield f"Where do the {plural(scene.things[0].kind)} move?", scene.things[0].motion
    elif moving:
        for thing in scene.things:
            yield f"Where does the {thing.kind} move?", thing.motion


def _named(scene: Scene) -> tuple[Thing, ...]:
    """Things that "the" and a kind can mean: the only one, or those that all differ in kind."""
    return () if alike(scene) and len(scene.things) > 1 else scene.things


ASKERS: dict[str, Asker] = {
    **{"color": _color, "kind": _kind, "size": _size, "count": _count, "background": _background},
    **{"presence": _presence, "position": _position, "motion": _motion},
}
