from __future__ import annotations

import pytest
import torch
from transformers import DynamicCache

from omnivideo.model import OmniVideoModel
from omnivideo.reading import Reading
from omnivideo.stepping import FixedSteps, GrowingSteps, Step, begin


def _sequence() -> tuple[torch.Tensor, torch.Tensor]:
    mask = torch.tensor([[True] * 12, [False] * 4 + [True] * 8])
    return torch.randn(2, 12, 128, generator=torch.Generator().manual_seed(2)), mask


@pytest.mark.parametrize("fixed", [False, True])
@torch.no_grad()
def test_steps_equal_reading_it_all_at_once(model: OmniVideoModel, fixed: bool) -> None:
    """Hidden states of one position after another, prompts of mixed lengths, are those of a single pass."""
    embeds, mask = _sequence()
    cache = DynamicCache()
    model.mllm(embeds[:, :5], mask[:, :5], cache)
    prompt = Reading(embeds[:, :5], mask[:, :5])
    step: Step = GrowingSteps(model.mllm, cache, prompt)
    if fixed:
        step = FixedSteps(model.mllm, cache, prompt, 7)
    states = [step(embeds[:, i : i + 1]) for i in range(5, 12)]
    whole = model.mllm(embeds, mask)[:, 5:]
    torch.testing.assert_close(torch.cat(states, dim=1), whole, atol=1e-5, rtol=1e-4)


@torch.no_grad()
def test_rewound_steps_start_again(model: OmniVideoModel) -> None:
    """After rewinding, what was stepped through before leaves no trace."""
    embeds, mask = _sequence()
    cache = DynamicCache()
    model.mllm(embeds[:, :9], mask[:, :9], cache)
    steps = FixedSteps(model.mllm, cache, Reading(embeds[:, :9], mask[:, :9]), 3)
    first = steps(embeds[:, 9:10]).clone()
    steps(embeds[:, 10:11])
    steps.rewind()
    assert torch.equal(steps(embeds[:, 9:10]), first)


@torch.no_grad()
def test_the_prompts_last_state_comes_first(model: OmniVideoModel) -> None:
    """Beginning gives the hidden state at the prompt's end."""
    embeds, mask = _sequence()
    hidden, _ = begin(model.mllm, Reading(embeds, mask), 1)
    torch.testing.assert_close(hidden, model.mllm(embeds, mask)[:, -1:])
