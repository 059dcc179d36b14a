from __future__ import annotations

import pytest
import torch
from torch import nn

from training.errors import TrainingError
from training.model.frozen import check_unchanged, digest, digests


def test_a_digest_sees_one_bit_a_type_and_a_buffer() -> None:
    """Equal modules have equal digests; the smallest change of value, type or buffer shows."""
    torch.manual_seed(0)
    module = nn.BatchNorm1d(4)
    before = digest(module)
    assert digest(module) == before
    module.running_mean.view(torch.int32)[0] += 1
    assert digest(module) != before
    module.running_mean.view(torch.int32)[0] -= 1
    assert digest(module) == before
    assert digest(module.bfloat16()) != before


def test_a_frozen_part_that_moved_stops_the_run() -> None:
    """The error names the part; trained parts may change."""
    parts = {"dit": nn.Linear(2, 2), "vae": nn.Linear(2, 2)}
    before = digests(parts)
    nn.init.zeros_(parts["dit"].weight)
    check_unchanged(before, digests(parts), "stage 3", {"vae"})
    with pytest.raises(TrainingError, match="changed during stage 2: dit"):
        check_unchanged(before, digests(parts), "stage 2", {"dit", "vae"})
