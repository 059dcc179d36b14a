from __future__ import annotations

from typing import Any

import torch
from diffusers.models.transformers.transformer_wan import WanAttnProcessor
from torch import Tensor

from omnivideo.build import build_part
from omnivideo.config import preset
from omnivideo.self_attention import SelfAttention


def through(dit: Any, processor: Any) -> tuple[Tensor, dict[str, Tensor]]:
    """The output and all gradients with self-attention by `processor`."""
    for block in dit.blocks:
        block.attn1.set_processor(processor)
    dit.zero_grad()
    source = torch.Generator().manual_seed(0)
    x, c = (torch.randn(*shape, generator=source) for shape in ((2, 16, 3, 6, 10), (2, 5, 64)))
    out = dit(x, torch.tensor([100.0, 900.0]), c, return_dict=False)[0]
    out.pow(2).mean().backward()
    return out.detach(), {name: p.grad.clone() for name, p in dit.named_parameters() if p.grad is not None}


def test_joined_projections_are_diffusers_own_attention() -> None:
    """Outputs and gradients of every weight are those of diffusers' processor, in float32."""
    dit: Any = build_part("dit", preset("tiny"))
    expected, gradients = through(dit, WanAttnProcessor())
    output, found = through(dit, SelfAttention("native"))
    torch.testing.assert_close(output, expected, rtol=1e-5, atol=1e-5)
    assert found.keys() == gradients.keys()
    for name, gradient in gradients.items():
        torch.testing.assert_close(found[name], gradient, rtol=1e-4, atol=1e-6)
