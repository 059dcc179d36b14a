from __future__ import annotations

import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from omnivideo.config import preset
from omnivideo.errors import InputError
from omnivideo.model import OmniVideoModel
from training.config import StageSection, StagesSection
from training.data.samples import Bucket
from training.parallel.team import Team
from training.speed import attention, recompute
from training.speed.recompute import MODES
from training.speed.setting_up import count_tokens, held_bytes, set_up

DIT = preset("omni-11b").dit
FULL_SIZE = Bucket("video", 480, 832, 81)


@given(tokens=st.integers(1, 200_000))
def test_each_mode_keeps_less_than_the_one_before(tokens: int) -> None:
    """So the first one that fits is the fastest that fits."""
    kept = [recompute.kept_bytes(DIT, tokens, mode) for mode in MODES]
    assert all(more > less for more, less in itertools.pairwise(kept))


@pytest.mark.parametrize(
    ("gibibytes", "tokens", "mode"),
    [
        (139, 32_760, "none"),
        (79, 32_760, "elementwise"),
        (65, 32_760, "light"),
        (45, 32_760, "selective"),
        (79, 900, "none"),
    ],
)
def test_auto_takes_the_fastest_mode_that_fits(
    gibibytes: int, tokens: int, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the device's memory, the same on all workers: an H200 keeps what an H100 computes again."""
    properties = type("Properties", (), {"total_memory": gibibytes * 2**30})
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: properties)
    held = 24 * 2**30
    assert recompute.fitting(DIT, tokens, held, torch.device("cuda")) == mode
    with pytest.raises(InputError, match="GiB a GPU with all of it recomputed"):
        recompute.fitting(DIT, tokens, gibibytes * 2**30, torch.device("cuda"))


def test_a_cpu_measures_nothing_and_keeps_everything() -> None:
    """There is one attention kernel on it, no compiling unless asked for, and nothing to recompute."""
    model = OmniVideoModel.build(preset("tiny"))
    speed = set_up(model, StagesSection(), StageSection(), [Bucket("video", 64, 64, 9)], Team(), 1)
    assert speed.choices["attention"] == attention.NATIVE
    assert not speed.choices["attention_seconds"]
    assert (speed.choices["recompute"], speed.choices["compiled"]) == ("none", False)
    speed.blocks.remove()


def test_counts_are_those_of_the_paper_s_model() -> None:
    """81 frames of 480×832 are 32,760 tokens; a trained number takes 16 bytes beside itself on one GPU."""
    assert count_tokens(FULL_SIZE) == 32_760
    module = torch.nn.Linear(10, 10, bias=False)
    assert held_bytes(module, workers=1, averaged=False) == 100 * 16
    assert held_bytes(module, workers=2, averaged=True) == 100 * (4 + 8)
