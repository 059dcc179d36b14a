"""What every filter is held to; a new file in curation/filters is found and tested without a change here."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from curation import filters
from curation.errors import InputError
from curation.filters import VECTORS, Cost, Filter, Frames
from curation.media.held import fit
from curation.media.picture import PictureClip, read
from curation.media.sampler import SampledClip
from curation.media.vectors import Exported

HEAVY = {"numpy", "cv2", "av", "torch", "scenedetect", "PIL", "onnxruntime", "rapidocr_onnxruntime", "scipy"}


FIELDS = ("source", "w", "h", "dst_x", "dst_y", "motion_x", "motion_y", "motion_scale")
MOVED = np.array([(-1, 16, 16, 8, 8, 4, 0, 1)], [(name, np.int32) for name in FIELDS])


@pytest.fixture(params=filters.names())
def kind(request: pytest.FixtureRequest) -> type[Filter]:
    """Each filter of the folder."""
    return filters.load(request.param)


@pytest.fixture(scope="module")
def photo(images: Path) -> Any:
    """A real photograph."""
    return read(images / "rocket.jpg", 10**8)


def clip_of(photo: Any, rule: Filter, kind: str) -> Any:
    """A clip with what the rule asks for: the photograph, or a pan across it."""
    if kind == "image":
        return PictureClip(photo)
    pan = [np.ascontiguousarray(photo[:400, 8 * i : 8 * i + 560]) for i in range(6)]
    samples: dict[Frames, Any] = {
        needs: [(i / 2, PictureClip(view).frames(needs)[0]) for i, view in enumerate(pan)]
        for needs in rule.requires()
        if needs != VECTORS
    }
    if VECTORS in rule.requires():
        samples[VECTORS] = [(i / 2, Exported(MOVED, 560, 400, 0.04)) for i in range(1, 6)]
    return SampledClip("video", 560, 400, 25.0, 75, 0.0, 3.0, samples)


def test_it_names_its_source(kind: type[Filter]) -> None:
    """The file says where its method and defaults come from, and what it rejects."""
    text = sys.modules[kind.__module__].__doc__ or ""
    assert "Source" in text
    assert text.startswith("Rejects")


def test_its_fields_are_documented(kind: type[Filter]) -> None:
    """Each field has a default and a description."""
    for name, field in kind.model_fields.items():
        assert not field.is_required(), name
        assert field.description, name
    kind()


def test_its_thresholds_are_true(kind: type[Filter]) -> None:
    """Each threshold bounds a declared score from the side that it says; None switches it off."""
    assert kind.thresholds
    for field, (score, side) in kind.thresholds.items():
        assert score in kind.scores
        others = dict.fromkeys(kind.thresholds)
        bound = getattr(kind(), field) or 1
        rule = kind(**{**others, field: bound})
        inside, outside = (bound, bound - 0.5) if side == "min" else (bound, bound + 0.5)
        neutral = dict.fromkeys(kind.scores, 0.0)
        assert rule.decide({**neutral, score: inside}) is None
        reason = rule.decide({**neutral, score: outside})
        assert reason
        assert reason == reason.lower()
        assert kind(**others).decide({**neutral, score: outside}) is None


def test_its_defaults_do_something(kind: type[Filter]) -> None:
    """With the defaults, some score is rejected: a filter named in a recipe is never a no-op."""
    rule = kind()
    assert any(
        rule.decide({**dict.fromkeys(kind.scores, middle), score: value})
        for score, _ in kind.thresholds.values()
        for middle in (0.0, 1.0, 1e3)
        for value in (-1e9, 1e9)
    )


def test_its_scores_are_finite_and_repeatable(kind: type[Filter], photo: Any) -> None:
    """Measuring twice gives the same declared, finite scores, and the decision follows from them alone."""
    rule = kind()
    try:
        rule.check()
    except InputError as error:  # weights that no package carries: the filter's own tests bring small ones
        pytest.skip(error.what)
    for media in kind.applies_to:
        clip = clip_of(photo, rule, media)
        first, second = rule.judge(clip), rule.judge(clip)
        assert first == second
        assert tuple(first.scores) == tuple(
            name for name in kind.scores if name in first.scores or name not in kind.optional
        )
        assert all(math.isfinite(value) for value in first.scores.values())
        assert first.reason == rule.decide(first.scores)


def test_it_asks_only_for_what_it_declares(kind: type[Filter]) -> None:
    """Needs are Frames, and a filter of the header's cost class needs none."""
    assert all(isinstance(needs, Frames) for needs in kind().requires())
    assert kind.cost in Cost
    assert bool(kind().requires()) == (kind.cost > Cost.PROBE)


def test_it_names_its_model(kind: type[Filter]) -> None:
    """A filter that runs a network says which weights, the same each time."""
    if kind.cost < Cost.MODEL:
        pytest.skip("no network")
    try:
        told = kind().revision()
    except InputError as error:
        pytest.skip(error.what)
    assert told
    assert told == kind().revision()


def test_it_cannot_be_changed(kind: type[Filter]) -> None:
    """A filter's settings are fixed once made."""
    field = next(iter(kind.model_fields))
    with pytest.raises(ValueError, match="frozen"):
        setattr(kind(), field, 1)


def test_it_survives_its_recipe_entry(kind: type[Filter]) -> None:
    """What a filter writes of itself into a request reads back as the same filter."""
    assert filters.parse([kind().entry()]) == (kind(),)


def test_no_filter_imports_anything_heavy() -> None:
    """Loading all filters, as a command does to check a recipe, imports no library of the heavy ones."""
    code = "import sys; from curation.filters import *; from curation import filters\n"
    code += "[filters.load(n) for n in filters.names()]\nprint(' '.join(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert not HEAVY & set(loaded.split())


def test_frames_fit_the_long_side() -> None:
    """Frames are made smaller to the asked size and never larger."""
    assert fit(1280, 720, 640) == (640, 360)
    assert fit(176, 144, 640) == (176, 144)
    assert fit(3, 2000, 100) == (1, 100)
