from __future__ import annotations

import subprocess
import sys

import pytest
from pydantic import ValidationError

from omnivideo.build import parameter_counts
from omnivideo.config import OmniVideoConfig, preset
from omnivideo.errors import InputError


def test_configuration_does_not_load_torch() -> None:
    """Importing the package, its configuration and its presets loads neither torch nor diffusers."""
    code = (
        "import sys, omnivideo, omnivideo.config, omnivideo.presets\n"
        "omnivideo.preset('omni-11b')\n"
        "assert not {'torch', 'transformers', 'diffusers', 'av'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_omni_11b_has_the_size_that_the_paper_reports() -> None:
    """Without the text encoder, omni-11b counts about 11 billion parameters, and counting allocates none."""
    counts = parameter_counts(preset("omni-11b"))
    assert 10.4e9 < sum(counts.values()) - counts["text_encoder"] < 11.4e9
    assert 1.40e9 < counts["dit"] < 1.44e9
    assert counts["text_encoder"] > 5.5e9


def test_tiny_stays_tiny() -> None:
    """The tiny preset has fewer than four million parameters."""
    assert sum(parameter_counts(preset("tiny")).values()) < 4_000_000


def test_unknown_preset_names_the_known() -> None:
    """A preset that does not exist is an input error that lists those that do."""
    with pytest.raises(InputError, match="tiny, small, omni-11b"):
        preset("huge")


@pytest.mark.parametrize("name", ["tiny", "small", "omni-11b"])
def test_configuration_survives_json(name: str) -> None:
    """A configuration read back from its JSON equals the one written."""
    config = preset(name)
    assert OmniVideoConfig.model_validate_json(config.model_dump_json()) == config


def test_unknown_key_is_refused() -> None:
    """A key that no section knows is an error."""
    with pytest.raises(ValidationError, match="colour"):
        OmniVideoConfig.model_validate({**preset("tiny").model_dump(), "colour": "blue"})


def test_tokens_per_frame_must_be_square() -> None:
    """A pooled grid has a square number of tokens."""
    head = preset("tiny").vision_head
    with pytest.raises(ValidationError, match="square"):
        type(head).model_validate({**head.model_dump(), "tokens_per_frame": 5})
