"""Whole evaluations: of a painter that does what it is told, and of a model that knows nothing."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from omnivideo.evaluation import prompts, run
from omnivideo.evaluation.page import render_page
from omnivideo.evaluation.protocol import TAGS
from omnivideo.evaluation.run import Plan, Record, evaluate
from omnivideo.evaluation.scores import summarise
from omnivideo.pipeline import OmniVideoPipeline
from omnivideo.shapes.render import render
from tests.omnivideo.evaluation.test_shapes_judge import asked_for

QUICK = {"size": 64, "num_frames": 5, "limit": 1, "image_samples": 1, "steps": 2}


class Painter:
    """Renders what each prompt claims, and each edit's target: the score that a perfect model would have."""

    def __init__(self) -> None:
        tags = (*TAGS, "motion")
        self._claims = {one["prompt"]: one for tag in tags for one in prompts.of_category(tag)}
        self._edits = {(one.instruction, m): one for m in (False, True) for one in prompts.edits(m)}

    def __call__(self, prompt: Any, source: Any = None, *, num_frames: int, height: int, **_: Any) -> Any:
        """Frames as the pipeline gives them."""
        if source is not None:
            scenes = [self._edits[prompt, num_frames > 1].target]
        else:
            scenes = [asked_for(self._claims[one]) for one in prompt]
        return SimpleNamespace(frames=[render(one, height, num_frames) for one in scenes], prompts=prompt)


def test_a_perfect_painter_has_perfect_scores() -> None:
    """Who renders what is asked scores 1 in every category, and keeps what edits leave."""
    plan = Plan(**QUICK, parts=("image", "video", "image_edit", "video_edit"))  # type: ignore[arg-type]
    records = list(evaluate(Painter(), plan))  # type: ignore[arg-type]
    assert all(record.correct for record in records), [one for one in records if not one.correct]
    scores = summarise(records)
    assert scores["image"]["overall"] == scores["video"]["overall"] == scores["video_edit"]["done"] == 1.0
    assert set(scores["video"]["groups"]) == {*TAGS, "motion"}
    assert scores["video_edit"]["outside_psnr"] > 40


def test_an_untrained_model_has_none(pipeline: OmniVideoPipeline) -> None:
    """A model with random weights is judged in every way that there is, and does nothing right."""
    plan = Plan(**QUICK, parts=("image_edit", "image_questions"))  # type: ignore[arg-type]
    scores = summarise(evaluate(pipeline, plan))
    assert scores["image_edit"]["done"] == 0.0
    assert scores["image_edit"]["outside_psnr"] < 25
    assert scores["image_questions"]["accuracy"] < 0.5


def test_noise_does_not_depend_on_batches(
    pipeline: OmniVideoPipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same prompts give the same pixels in batches of one and of two."""
    asked = prompts.of_category("single_object")[:2]
    monkeypatch.setattr(prompts, "of_category", lambda tag: asked if tag == "single_object" else [])
    plans = [Plan(size=32, num_frames=5, steps=1, image_samples=1, parts=("image",), batch=n) for n in (1, 2)]
    one, two = (list(evaluate(pipeline, plan)) for plan in plans)
    for record, other in zip(one, two, strict=True):
        assert np.abs(record.frames.astype(int) - other.frames).max() <= 2  # type: ignore[union-attr, operator]


def test_the_page_escapes_what_models_write() -> None:
    """An answer with markup in it is text on the page, which loads nothing and runs nothing."""
    hostile = "<script>alert(1)</script>"
    frames = np.zeros((5, 32, 32, 3), np.uint8)
    records = [Record("image_questions", "color", "What?", False, f"said {hostile}", frames=frames)]
    report = {"model": hostile, "seed": 0, "made": "now", "device": "CPU", "scores": summarise(records)}
    page = render_page(report, records)
    assert hostile not in page
    assert "&lt;script&gt;" in page
    assert "default-src &#39;none&#39;" in page or "default-src 'none'" in page
    assert "http://" not in page
    assert "https://" not in page


def test_parts_are_all_run() -> None:
    """Every part that a command names has a runner."""
    assert set(run.PARTS) == set(run._RUNNERS)
