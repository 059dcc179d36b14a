from __future__ import annotations

from pathlib import Path

import pytest

from omnivideo.errors import InputError
from training.config import ModelSection
from training.model.origin import configuration, write_initial_model


def test_overrides_reach_nested_keys() -> None:
    """A dotted path changes one key of the preset."""
    assert configuration(ModelSection(overrides={"dit.num_layers": 1})).dit.num_layers == 1


@pytest.mark.parametrize("overrides", [{"dit.layers": 1}, {"nothing.at": 1}, {"dit.num_layers": "many"}])
def test_an_override_that_does_not_fit_is_named(overrides: dict[str, object]) -> None:
    """Unknown keys and wrong values are the user's to correct."""
    with pytest.raises(InputError, match=r"num_layers|dit\.layers|nothing\.at"):
        configuration(ModelSection(overrides=overrides))


def test_a_path_must_be_a_pipeline_folder(tmp_path: Path) -> None:
    """The error says what is looked for there."""
    with pytest.raises(InputError, match="no model at") as caught:
        write_initial_model(ModelSection(path=str(tmp_path)), tmp_path / "init")
    assert "model_index.json" in caught.value.next_step
