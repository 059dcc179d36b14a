"""Edits as exact pairs: two scenes that differ in what an instruction says, and in nothing else."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

from omnivideo.shapes.palette import BACKGROUNDS, COLORS, MOTIONS, SIZES, Motion, held_out
from omnivideo.shapes.sampling import Split, placed, sample_look, sample_scene, until_made
from omnivideo.shapes.scene import Scene, Thing, fits
from omnivideo.shapes.words import alike, region, with_article

Operation = Literal["recolor", "remove", "add", "background", "motion"]
OPERATIONS: tuple[Operation, ...] = get_args(Operation)
_ORDER: dict[Motion, tuple[str, ...]] = {
    "still": ("make the {name} stay still", "stop the {name}"),
    **{
        motion: (f"make the {{name}} move {motion}", f"let the {{name}} move {motion} instead")
        for motion in MOTIONS
        if motion != "still"
    },
}


@dataclass(frozen=True)
class Edit:
    """`before` and `after` are the thing that changes, None where it is not there."""

    operation: Operation
    instruction: str
    source: Scene
    target: Scene
    before: Thing | None = None
    after: Thing | None = None

    def as_json(self) -> dict[str, Any]:
        """The edit as plain values."""
        return {
            "operation": self.operation,
            "instruction": self.instruction,
            "source": self.source.as_json(),
            "target": self.target.as_json(),
        }


def sample_edit(rng: random.Random, split: Split, moving: bool, operation: Operation | None = None) -> Edit:
    """An edit of an image, or of a video if `moving`; only then can it be one of motion."""
    if operation is None:
        return sample_edit(rng, split, moving, rng.choice(OPERATIONS if moving else OPERATIONS[:-1]))
    least, most = _COUNTS[operation]
    return until_made(lambda: _attempt(rng, split, moving, operation, rng.randint(least, most)))


def _attempt(rng: random.Random, split: Split, moving: bool, operation: Operation, count: int) -> Edit | None:
    scene = sample_scene(rng, split, moving, count)
    if count > 1 and alike(scene):  # no words would mean one of them
        return None
    return _EDITORS[operation](rng, split, scene)


def _recolor(rng: random.Random, split: Split, scene: Scene) -> Edit | None:
    thing = rng.choice(scene.things)
    used = {one.color for one in scene.things}
    free = [
        color
        for color in COLORS
        if color not in used and not (split == "train" and held_out(thing.kind, color))
    ]
    after = replace(thing, color=rng.choice(free))
    form = rng.choice(("make the {name} {color}", "change the color of the {name} to {color}"))
    return _swapped("recolor", form.format(name=_name(thing), color=after.color), scene, thing, after)


def _remove(rng: random.Random, split: Split, scene: Scene) -> Edit | None:
    thing = rng.choice(scene.things)
    left = tuple(one for one in scene.things if one != thing)
    form = rng.choice(("remove the {name}", "take away the {name}"))
    return Edit("remove", form.format(name=_name(thing)), scene, replace(scene, things=left), thing)


def _add(rng: random.Random, split: Split, scene: Scene) -> Edit | None:
    look = sample_look(rng, split, {one.kind for one in scene.things}, {one.color for one in scene.things})
    thing = placed(rng, Thing(*look, rng.choice(SIZES), 0.5, 0.5))
    if not fits((*scene.things, thing)):
        return None
    words = with_article(f"{thing.size} {_name(thing)}")
    verb = rng.choice(("add", "put"))
    told = f"{verb} {words} {region(thing.x, thing.y)}"
    return Edit("add", told, scene, replace(scene, things=(*scene.things, thing)), None, thing)


def _change_background(rng: random.Random, split: Split, scene: Scene) -> Edit | None:
    background = rng.choice([one for one in BACKGROUNDS if one != scene.background])
    form = rng.choice(("change the background to {background}", "make the background {background}"))
    told = form.format(background=background)
    return Edit("background", told, scene, replace(scene, background=background))


def _change_motion(rng: random.Random, split: Split, scene: Scene) -> Edit | None:
    thing = rng.choice(scene.things)
    after = replace(thing, motion=rng.choice([one for one in MOTIONS if one != thing.motion]))
    told = rng.choice(_ORDER[after.motion]).format(name=_name(thing))
    return _swapped("motion", told, scene, thing, after)


def _swapped(operation: Operation, told: str, scene: Scene, before: Thing, after: Thing) -> Edit | None:
    things = tuple(after if one == before else one for one in scene.things)
    if not fits(things):
        return None
    return Edit(operation, told, scene, replace(scene, things=things), before, after)


def _name(thing: Thing) -> str:
    return f"{thing.color} {thing.kind}"


_Editor = Callable[[random.Random, Split, Scene], Edit | None]
_EDITORS: dict[Operation, _Editor] = {
    **{"recolor": _recolor, "remove": _remove, "add": _add},
    **{"background": _change_background, "motion": _change_motion},
}
_COUNTS: dict[Operation, tuple[int, int]] = {  # of things in the source
    **{"recolor": (1, 3), "remove": (2, 3), "add": (1, 2), "background": (1, 3), "motion": (1, 2)},
}
