from __future__ import annotations

import torch

from omnivideo.config import preset
from omnivideo.decoder import MaskedCrossAttention
from omnivideo.model import OmniVideoModel


def test_the_mask_reaches_cross_attention_alone(model: OmniVideoModel) -> None:
    """Each block's cross-attention honours the condition mask; self-attention keeps Wan's own processor."""
    for block in model.dit.blocks:
        assert isinstance(block.attn2.processor, MaskedCrossAttention)
        assert not isinstance(block.attn1.processor, MaskedCrossAttention)


def test_masked_tokens_do_not_matter(model: OmniVideoModel) -> None:
    """Whatever stands in masked condition tokens, the velocity is that of the condition without them."""
    x, t, c = torch.randn(2, 16, 2, 4, 4), torch.tensor([0.2, 0.8]), torch.randn(2, 9, 64)
    mask = torch.tensor([[True] * 6 + [False] * 3] * 2)
    with torch.no_grad():
        masked = model.velocity(x, t, c, mask)
        short = model.velocity(x, t, c[:, :6])
        whole = model.velocity(x, t, c)
    torch.testing.assert_close(masked, short, atol=1e-5, rtol=1e-4)
    assert not torch.allclose(masked, whole, atol=1e-5)


def test_recomputed_blocks_use_the_same_mask() -> None:
    """With gradient checkpointing a masked forward gives the gradients that it gives without."""
    model = OmniVideoModel.build(preset("tiny"), seed=4)
    x, t, c = torch.randn(2, 16, 1, 4, 4), torch.tensor([0.2, 0.8]), torch.randn(2, 9, 64)
    mask = torch.tensor([[True] * 9, [True] * 6 + [False] * 3])
    gradients = []
    for checkpointing in (False, True):
        if checkpointing:
            model.dit.enable_gradient_checkpointing()
        model.zero_grad()
        model.velocity(x, t, c, mask).square().mean().backward()
        gradients.append({name: p.grad.clone() for name, p in model.dit.named_parameters()})
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradients[1][name], gradient)
