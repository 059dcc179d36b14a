"""What each stage of section 4.3 trains, by the model's own calls and losses."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from omnivideo.config import preset
from omnivideo.flow import interpolate, velocity_target
from omnivideo.losses import alignment_loss, text_loss, vision_loss
from omnivideo.model import OmniVideoModel

PROMPTS = ["a cat", "make the two dogs blue"]


def _heads(model: OmniVideoModel, clip: Tensor) -> Tensor:
    targets = model.vision_targets(clip)
    seen = vision_loss(model.stage1_forward(PROMPTS, targets, "video"), targets)
    return seen + text_loss(*model.text_logits(["what?", "draw"], ["a cat", "<BOV>"], clip))


def _align(model: OmniVideoModel, clip: Tensor) -> Tensor:
    text, mask = model.encode_text(PROMPTS)
    visual = model.predict_visual(PROMPTS, "video")
    c, _ = model.condition(visual, text, mask)
    return alignment_loss(c[:, : visual.shape[1]], text, mask)


def _flow(model: OmniVideoModel, clip: Tensor, forced: bool = False) -> Tensor:
    latents, edits = model.encode_video(clip.transpose(1, 2)), torch.tensor([False, True])
    visual = model.predict_visual(PROMPTS, "video")
    if forced:
        visual = model.stage1_forward(PROMPTS, visual, "video", clip, edits)
    c, mask = model.condition(visual, *model.encode_text(PROMPTS), latents, edits)
    noise, time = torch.randn_like(latents), torch.tensor([0.3, 0.8])
    velocity = model.velocity(interpolate(latents, noise, time), time, c, mask)
    return (velocity - velocity_target(latents, noise)).square().mean()


def _joint(model: OmniVideoModel, clip: Tensor) -> Tensor:
    return _flow(model, clip, forced=True)


@pytest.mark.parametrize(
    ("named", "loss"),
    [
        ({"vision_head", "text_head"}, _heads),
        ({"adapter"}, _align),
        ({"adapter"}, _flow),
        ({"vision_head", "adapter", "dit"}, _joint),
    ],
    ids=["stage-1", "stage-2-align", "stage-2-flow", "stage-3"],
)
def test_each_stage_reaches_its_own_parameters_alone(
    clip: Tensor, named: set[str], loss: Callable[[OmniVideoModel, Tensor], Tensor]
) -> None:
    """Every part that a stage names gets gradients in all its weights, and no other weight gets any."""
    model = OmniVideoModel.build(preset("tiny"), seed=8).requires_grad_(False)
    for name, part in model.parts().items():
        part.requires_grad_(name in named)
    torch.nn.init.normal_(model.adapter.trunk[0].down.weight, std=0.1)  # as after its first step
    loss(model.train(), clip).backward()
    reached = {name for name, p in model.named_parameters() if p.grad is not None}
    assert reached == {name for name, _ in model.named_parameters() if name.split(".")[0] in named}
    moved = {name for name, p in model.named_parameters() if p.grad is not None and p.grad.abs().max() > 0}
    # Alignment compares visual tokens alone, and softmax forgets a key's bias: nothing to learn there.
    idle = {name for name in reached - moved if ".source." not in name and "to_k.bias" not in name}
    assert idle == set()
