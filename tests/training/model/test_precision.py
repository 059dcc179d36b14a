from __future__ import annotations

import torch

from omnivideo.config import preset
from omnivideo.model import OmniVideoModel
from training.model.precision import keep_float32
from training.model.trainee import Trainee


def test_wans_float32_modules_stay_float32_inside_autocast() -> None:
    """The time embedding and the norms of the transformer compute in float32, its products in bf16."""
    model = OmniVideoModel.build(preset("tiny"))
    kept = keep_float32(model.dit)
    assert "condition_embedder.time_embedder" in kept
    assert {"blocks.0.norm1", "blocks.0.norm2", "blocks.0.norm3"} <= set(kept)
    seen: dict[str, torch.dtype] = {}
    for name in ("condition_embedder.time_embedder.linear_1", "blocks.0.ffn.net.2"):
        linear = model.dit.get_submodule(name)
        linear.register_forward_hook(lambda _m, _i, out, name=name: seen.update({name: out.dtype}))
    latents, condition = torch.zeros(1, 16, 1, 8, 8), torch.zeros(1, 4, 64)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        model.velocity(latents, torch.tensor([0.5]), condition)
    assert list(seen.values()) == [torch.float32, torch.bfloat16]


def test_only_trainable_parts_are_handed_to_the_optimiser() -> None:
    """Frozen parts take no gradients and are not registered, so nothing can cast or save them."""
    model = OmniVideoModel.build(preset("tiny"))
    model.dit.bfloat16()
    model.mllm.bfloat16()
    trainee = Trainee(model, ["vision_head", "dit"])
    assert {name.split(".")[1] for name, _ in trainee.named_parameters()} == {"vision_head", "dit"}
    assert all(p.dtype == torch.float32 and p.requires_grad for p in trainee.parameters())
    assert not any(p.requires_grad for p in model.mllm.parameters())
    assert next(model.mllm.parameters()).dtype == torch.bfloat16
