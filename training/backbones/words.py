"""What is said in the world of shapes: the texts that its tokenizers are learnt from."""

from __future__ import annotations

from collections.abc import Iterator

from omnivideo.prompts import EDIT, GENERATE, REWRITE
from omnivideo.shapes.edits import sample_edit
from omnivideo.shapes.palette import COLORS, KINDS
from omnivideo.shapes.questions import ask, fact, indirect
from omnivideo.shapes.sampling import generator, sample_scene
from omnivideo.shapes.words import caption
from training.data.samples import DESCRIBE

SCENES = 1500


def said_in_the_world(chat: bool = False) -> Iterator[str]:
    """Captions, instructions, indirect requests; with `chat` also questions, answers and templates."""
    for number in range(SCENES):
        rng, moving = generator("words", number), number % 2 == 1
        scene = sample_scene(rng, "train", moving)
        yield caption(scene, rng, moving)
        yield sample_edit(rng, "train", moving).instruction
        yield indirect(rng.choice(KINDS), rng.choice(list(COLORS)), rng)[0]
        if chat:
            yield from (text for turn in ask(scene, rng, moving) for text in turn)
            yield from fact(rng.choice(list(COLORS)), rng)
            yield from _frames()


def _frames() -> Iterator[str]:
    """What the model's own templates say around a request."""
    yield "user: assistant: "
    yield from DESCRIBE.values()
    for form in (*GENERATE.values(), *EDIT.values()):
        yield form.format(prompt="")
    for medium in ("an image", "a video"):
        yield REWRITE.format(medium=medium, prompt="")
