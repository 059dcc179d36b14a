"""Names of what frozen parts say: which values a phase needs of a sample, and the address of each.

A value is one tensor. Its address is a hash of all that it depends on: the sample's content by its id, its
task, the bucket, the words, the parts that make it, and the type that it is stored in. Two recipes, runs or
dataset versions that agree on these share the value.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Literal, NamedTuple

from omnivideo.prompts import GENERATE, OPENERS
from training.config import EDITING, UNDERSTANDING, Task
from training.data.samples import Sample, View
from training.stages import Objective, Phase

Name = Literal["targets", "latents", "source_latents", "source_shown", "text", "states", "visual"]
SAID: frozenset[Name] = frozenset({"text", "states", "visual"})
"""Values that depend on words; the others are of media alone."""
FORMAT = 1
"""Raised whenever decoding, cropping or an encoder's use changes: old values are then not found again."""


class Value(NamedTuple):
    """One tensor by name; media and words are what it depends on besides the parts that make it.

    targets [N, Dv]: SigLIP2's tokens (Eq. 1's E); latents, source_latents [z, t, h, w]: the autoencoder's,
    normalised; source_shown [F, 3, H, W]: the frames of an edit's source that the MLLM is shown; text [L, D]:
    UMT5's, without padding; states [K, D]: what the text head reads to answer a question, `words`; visual
    [N, Dv]: the frozen vision head's own tokens.
    """

    name: Name
    view: View | None = None
    words: tuple[str, ...] = ()

    def address(self, encoder: str, dtype: str) -> str:
        """Return the SHA-256 of what the value is, made by `encoder` and stored as `dtype`."""
        view = self.view and [self.view.sample_id, self.view.task, *self.view.bucket, float(self.view.fps)]
        return digest([FORMAT, self.name, view, self.words, encoder, dtype])


def digest(value: object) -> str:
    """Return the SHA-256 of a value's JSON."""
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()


def media_names(objective: Objective, task: Task) -> tuple[Name, ...]:
    """Return the values that a phase needs of a sample's media, besides states and visual tokens."""
    made: dict[Objective, tuple[Name, ...]] = {"heads": ("targets",), "align": (), "flow": ("latents",)}
    source: tuple[Name, ...] = (
        ("source_shown", "source_latents") if objective == "flow" else ("source_shown",)
    )
    if task in UNDERSTANDING:
        return ()
    return made[objective] + (source if task in EDITING else ())


def question(view: View, turn: tuple[str, str]) -> Value:
    """Return the states of a question about media, and its answer."""
    return Value("states", view, turn)


def marker(view: View, prompt: str) -> Value:
    """Return the states of a request to generate, which the text head answers by the marker alone."""
    kind = view.bucket.kind
    return Value("states", None, (GENERATE[kind].format(prompt=prompt), OPENERS[kind]))


def visual(view: View, prompt: str) -> Value:
    """Return the vision head's tokens for a prompt; an edit's depend on its source, too."""
    return Value("visual", view if view.task in EDITING else None, (view.bucket.kind, prompt))


def of_sample(
    phase: Phase, sample: Sample, view: View, caption_dropout: float, stored: bool = False
) -> Iterator[Value]:
    """Yield all values that `phase` may need of `sample`: each turn of a conversation, with and without text.

    A vision head that trains says other tokens at every step: its own are not among them, unless it is fed
    `stored` ones.
    """
    if sample.task in UNDERSTANDING:
        yield from (question(view, turn) for turn in sample.turns)
        return
    yield from (Value(name, view) for name in media_names(phase.objective, sample.task))
    if phase.objective == "heads":
        yield marker(view, sample.prompt)
        return
    prompts = [sample.prompt, ""] if phase.objective == "flow" and caption_dropout else [sample.prompt]
    for prompt in prompts:
        yield Value("text", None, (prompt,))
        if stored or "vision_head" not in phase.trainable:
            yield visual(view, prompt)
