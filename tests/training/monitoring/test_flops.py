from __future__ import annotations

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from omnivideo.config import preset
from omnivideo.model import OmniVideoModel
from tests.training.model.test_trainee import sub_batches_of
from training.model.trainee import Trainee
from training.monitoring.flops import Flops
from training.monitoring.throughput import figures, matmul_ceiling
from training.parallel.team import Team
from training.stages import PHASES, Phase


@pytest.mark.parametrize("phase", PHASES, ids=lambda phase: phase.name)
def test_operations_are_those_that_torch_counts(phase: Phase, dataset: str) -> None:
    """Forward and backward of every sub-batch, editing among them, within a tenth.

    Torch counts causal attention whole, ours its half; it does not see the tokens said before the sub-batch.
    """
    model = OmniVideoModel.build(preset("tiny"))
    sub_batches = sub_batches_of(phase, model, dataset)
    trainee, flops = Trainee(model, phase.trainable), Flops(model, phase.trainable)
    for sub_batch in sub_batches:
        with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
            trainee(sub_batch).sum().backward()
        assert flops.of(sub_batch) == pytest.approx(counter.get_total_flops(), rel=0.1)


def test_a_step_as_fast_as_the_matrix_product_has_mfu_1() -> None:
    """Of several workers, all of their devices count."""
    team = Team(size=2, device=torch.device("cpu"))
    found = figures(team, 2.0, 0.1, 1000, 2 * 2.0 * matmul_ceiling(team.device))
    assert found["mfu"] == pytest.approx(1.0)
    assert (found["data_wait"], found["tokens_per_second"]) == (0.05, 500.0)
    assert found["memory_gib"] > 0
