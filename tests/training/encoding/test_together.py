"""Many samples asked of frozen parts at once."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from omnivideo.config import preset
from omnivideo.model import OmniVideoModel
from training.data.loader import Loader
from training.data.rendered import open_data
from training.data.samples import Bucket, View
from training.encoding.cache import Cache
from training.encoding.encoders import Encoders
from training.encoding.on_the_fly import OnTheFly
from training.encoding.together import Together
from training.encoding.values import Value, question, visual

IMAGE = Bucket("image", 64, 64, 1)
EDITS = [View(f"image_edit-{n:07d}", "image_edit", IMAGE, 0.0) for n in range(3)]
ASKED = [View(f"image_understanding-{n:07d}", "image_understanding", IMAGE, 0.0) for n in range(3)]
VALUES = [
    *(Value(name, view) for view in EDITS for name in ("latents", "source_latents")),
    *(visual(view, words) for view, words in zip(EDITS, ("make it red", "remove it", ""), strict=True)),
    *(
        question(view, ("What is it?", answer))
        for view, answer in zip(ASKED, ("a", "red", "no"), strict=True)
    ),
    *(Value("text", None, (words,)) for words in ("a circle", "two large squares")),
]


@pytest.fixture(scope="module")
def parts() -> tuple[Any, ...]:
    """Encoders of a small model, and a rendered world to take media from."""
    torch.set_num_threads(1)
    encoders = Encoders(OmniVideoModel.build(preset("tiny")), torch.device("cpu"))
    return encoders, Loader(open_data("shapes://64?size=64"))


def test_values_are_those_of_one_at_a_time(parts: tuple[Any, ...]) -> None:
    """Each value agrees with the one made alone, up to the rounding of bf16."""
    encoders, loader = parts
    alone, together = (
        OnTheFly(encoders, loader, Cache(64), "flow"),
        Together(encoders, loader, Cache(64), "flow", most=8, batch=8),
    )
    together.prefetch(VALUES)
    for value in VALUES:
        made, wanted = together.get(value), alone.get(value)
        assert made.shape == wanted.shape
        scale = wanted.abs().max().clamp(min=1e-3)
        assert float((made - wanted).abs().max() / scale) < 0.05, value


def test_one_call_answers_for_the_batch(parts: tuple[Any, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """What was prefetched is made with the first that is asked for; no text encoder runs for the second."""
    encoders, loader = parts
    together = Together(encoders, loader, Cache(64), "flow", most=8, batch=8)
    together.prefetch(VALUES)
    together.get(VALUES[-2])
    monkeypatch.setattr(encoders, "say", None)
    assert together.get(VALUES[-1]).shape[0] == len(
        encoders.model.text_tokenizer("two large squares").input_ids
    )


def test_a_group_reaches_over_batches(parts: tuple[Any, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """A group is filled from batches asked for ahead, and nothing in it is made a second time."""
    encoders, loader = parts
    together = Together(encoders, loader, Cache(64), "flow", most=4, batch=2)
    assert together.ahead == 8
    words = [Value("text", None, (f"{count} circles",)) for count in range(6)]
    for start in range(0, 6, 2):
        together.prefetch(words[start : start + 2])
    groups, say = [], encoders.say

    def counted(name: str, texts: Any, shown: Any) -> Any:
        groups.append(len(texts))
        return say(name, texts, shown)

    monkeypatch.setattr(encoders, "say", counted)
    for value in words:
        together.get(value)
        together.prefetch(words)
    assert groups == [4, 2]


def test_phases_share_what_is_remembered(parts: tuple[Any, ...]) -> None:
    """A phase that needs more of a clip than the one before looks at it again; texts are not said anew."""
    encoders, loader = parts
    cache, view, said = Cache(64), EDITS[0], VALUES[-1]
    align, flow = (OnTheFly(encoders, loader, cache, objective) for objective in ("align", "flow"))
    align.get(Value("source_shown", view))
    assert align.get(said) is flow.get(said)
    assert flow.get(Value("latents", view)).ndim == 4
