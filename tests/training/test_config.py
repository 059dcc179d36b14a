from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from pydantic import ValidationError

from training.config import ModelSection, StagesSection, TrainRequest


def test_reading_a_recipe_imports_nothing_heavy() -> None:
    """The command line loads these models to print its help."""
    heavy = "('torch', 'ray', 'pyarrow', 'numpy')"
    code = f"import sys, training.config, training.job; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    "document",
    [
        {"data": "d", "out": "o", "stage": {}},
        {"data": "d", "out": "o", "stages": {"stage_1": {"step": 3}}},
        {"data": "d", "out": "o", "stages": {"image_sizes": [[60, 64]]}},
        {"data": "d", "out": "o", "mix": {"weights": {"text_to_sound": 1}}},
        {"data": "d", "out": "o", "cluster": {"num_workers": 0}},
    ],
)
def test_what_a_section_does_not_know_is_an_error(document: dict[str, Any]) -> None:
    """Unknown keys and values out of range fail; nothing is ignored."""
    with pytest.raises(ValidationError):
        TrainRequest.model_validate(document)


def test_a_model_comes_from_one_place() -> None:
    """A preset or a path, and overrides with a preset only."""
    with pytest.raises(ValidationError, match="either preset or path"):
        ModelSection(preset="tiny", path="folder")
    with pytest.raises(ValidationError, match="overrides go with a preset"):
        ModelSection(path="folder", overrides={"dit.num_layers": 1})


def test_phases_keep_their_own_defaults_when_one_key_is_set() -> None:
    """Stage 3 samples at 12 frames a second and learns more slowly, whatever else its section says."""
    stages = StagesSection.model_validate({"stage_3": {"steps": 5}})
    assert (stages.stage_3.fps, stages.stage_2_flow.fps) == (12.0, 8.0)
    assert stages.stage_3.learning_rate < stages.stage_2_flow.learning_rate
