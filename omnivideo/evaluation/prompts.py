"""What models are asked for: GenEval's six categories in the world of shapes, motion, edits and questions.

All of it is fixed: it follows from SEED, whatever model or seed is judged. `held_out` marks prompts with a
kind in a colour that training never shows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import combinations, permutations
from typing import Any

from omnivideo.shapes.edits import OPERATIONS, Edit, sample_edit
from omnivideo.shapes.palette import COLORS, DIRECTIONS, KINDS, held_out
from omnivideo.shapes.questions import ASKERS, indirect
from omnivideo.shapes.sampling import generator, sample_scene
from omnivideo.shapes.scene import Scene
from omnivideo.shapes.words import MOVING, several, with_article

SEED = "omnivideo shapes 1"
RELATIONS = ("left of", "right of", "above", "below")
MOST = 48  # prompts of a category; fewer where the world has fewer
Claims = dict[str, Any]


@dataclass(frozen=True)
class Question:
    """A question about a scene that is to be rendered."""

    kind: str
    scene: Scene
    moving: bool
    question: str
    answer: str


def of_category(tag: str) -> list[Claims]:
    """All prompts of a category as GenEval writes them, at most 48, in a fixed random order."""
    made = list(_MAKERS[tag]())
    generator(SEED, tag).shuffle(made)
    return made[:MOST]


def edits(moving: bool) -> list[Edit]:
    """Edits of images or videos, every kind of edit as often as the others."""
    operations = OPERATIONS if moving else OPERATIONS[:-1]
    return [
        sample_edit(generator(SEED, "edit", moving, operation, number), "test", moving, operation)
        for number in range(MOST // len(operations))
        for operation in operations
    ]


def questions(moving: bool) -> list[Question]:
    """Questions about images or videos, every kind of question as often as the others."""
    kinds = [kind for kind in ASKERS if moving or kind != "motion"]
    return [_question(kind, moving, number) for number in range(4 * MOST // len(kinds)) for kind in kinds]


def thinking() -> list[tuple[Claims, Claims]]:
    """Pairs of an indirect prompt ("a circle the color of grass") and the same said plainly."""
    rng, pairs = generator(SEED, "thinking"), []
    for claims in of_category("colors"):
        (clause,) = claims["include"]
        asked, plainly = indirect(clause["class"], clause["color"], rng)
        pairs.append(({**claims, "prompt": asked}, {**claims, "prompt": plainly}))
    return pairs


def _question(kind: str, moving: bool, number: int) -> Question:
    rng = generator(SEED, "question", kind, moving, number)
    while True:
        scene = sample_scene(rng, "test", moving)
        possible = list(ASKERS[kind](scene, rng, moving))
        if possible:
            return Question(kind, scene, moving, *rng.choice(possible))


def _claims(tag: str, prompt: str, *include: Claims, **more: Any) -> Claims:
    new = any(held_out(clause["class"], clause.get("color", "")) for clause in include)
    return {"tag": tag, "prompt": prompt, "include": list(include), "held_out": new, **more}


def _clause(kind: str, count: int = 1, **more: Any) -> Claims:
    return {"class": kind, "count": count, **more}


def _single() -> Iterator[Claims]:
    for kind in KINDS:
        yield _claims("single_object", with_article(kind), _clause(kind))


def _two() -> Iterator[Claims]:
    for one, other in combinations(KINDS, 2):
        told = f"{with_article(one)} and {with_article(other)}"
        yield _claims("two_object", told, _clause(one), _clause(other))


def _counting() -> Iterator[Claims]:
    for kind in KINDS:
        for count in (2, 3, 4):
            more = {"exclude": [_clause(kind, count + 1)]}
            yield _claims("counting", several(kind, count), _clause(kind, count), **more)


def _colors() -> Iterator[Claims]:
    for kind in KINDS:
        for color in COLORS:
            yield _claims("colors", with_article(f"{color} {kind}"), _clause(kind, color=color))


def _position() -> Iterator[Claims]:
    for one, other in permutations(KINDS, 2):
        for relation in RELATIONS:
            told = f"{with_article(one)} {relation} {with_article(other)}"
            yield _claims("position", told, _clause(other), _clause(one, position=[relation, 0]))


def _attribution() -> Iterator[Claims]:
    for (one, other), (color, another) in _pairs():
        told = f"{with_article(f'{color} {one}')} and {with_article(f'{another} {other}')}"
        yield _claims("color_attr", told, _clause(one, color=color), _clause(other, color=another))


def _pairs() -> Iterator[tuple[tuple[str, str], tuple[str, str]]]:
    for kinds in combinations(KINDS, 2):
        for colors in permutations(COLORS, 2):
            yield kinds, colors


def _motion() -> Iterator[Claims]:
    for kind in KINDS:
        for color in COLORS:
            for motion in DIRECTIONS:
                told = f"{with_article(f'{color} {kind}')} {MOVING[motion]}"
                yield _claims("motion", told, _clause(kind, color=color), motion=motion)


_MAKERS: dict[str, Callable[[], Iterator[Claims]]] = {
    **{"single_object": _single, "two_object": _two, "counting": _counting, "colors": _colors},
    **{"position": _position, "color_attr": _attribution, "motion": _motion},
}
