from __future__ import annotations

from pathlib import Path

import pytest
import torch

from curation.dataset import open_dataset
from omnivideo.config import preset
from omnivideo.model import OmniVideoModel
from tests.training.conftest import tiny_request
from training.batches.collator import Collator
from training.batches.phase_plan import plan_phase
from training.config import StageSection
from training.data.loader import Loader
from training.data.samples import read_samples
from training.encoding.cache import Cache
from training.encoding.encoders import Encoders
from training.encoding.on_the_fly import OnTheFly
from training.model.trainee import SubBatch, Trainee
from training.speed.blocks import Blocks
from training.stages import PHASES, Phase


def sub_batches_of(phase: Phase, model: OmniVideoModel, data: str) -> list[SubBatch]:
    """The sub-batches of the second batch of clips, editing among them where the phase has it."""
    table = open_dataset(data)
    request = tiny_request(data, Path("unused"), 40)
    plan = plan_phase(phase, request, read_samples(table), 0)
    batches = [
        batch for step in range(20, 40) for _, batch in [plan.batch(step)] if batch.bucket.kind == "video"
    ]
    encoders = Encoders(model, torch.device("cpu"))
    encodings = OnTheFly(encoders, Loader(table), Cache(64), phase.objective)
    collator = Collator(encoders, encodings, phase, phase.settings(request.stages).fps)
    sub_batches = collator.collate(batches[1].draws, batches[1].bucket, (0,))
    encodings.close()
    return sub_batches


def gradients(trainee: Trainee, sub_batches: list[SubBatch]) -> dict[str, torch.Tensor]:
    """Gradients of all sub-batches' losses together, in float32."""
    trainee.zero_grad()
    for sub_batch in sub_batches:
        trainee(sub_batch).sum().backward()
    return {name: p.grad.clone() for name, p in trainee.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("phase", PHASES, ids=lambda phase: phase.name)
def test_recomputing_layers_gives_the_same_gradients(phase: Phase, dataset: str) -> None:
    """Gradient checkpointing changes memory and time, not results; each trainable part gets gradients."""
    found = []
    for recompute in (False, True):
        model = OmniVideoModel.build(preset("tiny"))
        settings = StageSection(recompute="full" if recompute else "none")
        trainee = Trainee(model, phase.trainable, settings)
        blocks = Blocks(model.dit, "full" if recompute else "none", compiled=False, max_graphs=1)
        found.append(gradients(trainee, sub_batches_of(phase, model, dataset)))
        blocks.remove()
    plain, again = found
    assert {name.split(".")[1] for name in plain} == set(phase.trainable)
    assert plain.keys() == again.keys()
    for name in plain:
        torch.testing.assert_close(again[name], plain[name], rtol=1e-4, atol=1e-6)


def test_the_condition_of_stage_3_is_the_one_met_in_use(dataset: str) -> None:
    """Fed its own tokens, the vision head says in one pass what it says token by token."""
    model = OmniVideoModel.build(preset("tiny"))
    (sub_batch,) = sub_batches_of(PHASES[3], model, dataset)
    trainee = Trainee(model, PHASES[3].trainable)
    spoken = trainee.model.stage1_forward(targets=sub_batch.inputs["visual"], **sub_batch.inputs["spoken"])
    torch.testing.assert_close(spoken, sub_batch.inputs["visual"].float(), rtol=0.05, atol=0.02)
    assert spoken.requires_grad
