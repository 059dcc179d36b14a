"""Wan's self-attention in fewer passes over its tokens; the same weights and, up to rounding, results.

Queries, keys and values come from one product with the three matrices joined, rotary angles are applied
without writing in place, and attention reads heads where they lie instead of a copy. The joining costs
nothing when weights are cast for autocast anyway.
"""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F
from diffusers.models.transformers.transformer_wan import WanAttnProcessor
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from omnivideo.sequence import projected, rotate

KERNELS = {
    "cudnn": SDPBackend.CUDNN_ATTENTION,
    "flash": SDPBackend.FLASH_ATTENTION,
    "efficient": SDPBackend.EFFICIENT_ATTENTION,
}


class SelfAttention(WanAttnProcessor):  # type: ignore[misc]  # diffusers ships no types
    """Attention of all tokens to all by one of KERNELS; by PyTorch's choice for any other name."""

    def __init__(self, kernel: str) -> None:
        super().__init__()
        self._backend = KERNELS.get(kernel)

    def __call__(  # noqa: D102 -- the signature of the class it extends
        self,
        attn: Any,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
        rotary_emb: Any = None,
    ) -> Tensor:
        heads = (attn.heads, -1)
        query, key, value = projected(attn, hidden_states)
        query, key = (
            rotate(norm(x).unflatten(2, heads), *rotary_emb).to(value.dtype)
            for norm, x in ((attn.norm_q, query), (attn.norm_k, key))
        )
        by_head = (x.transpose(1, 2) for x in (query, key, value.view(*value.shape[:2], *heads)))
        attended = self._attend(*by_head).transpose(1, 2).flatten(2)
        out: Tensor = attn.to_out[1](attn.to_out[0](attended))
        return out

    def _attend(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        if self._backend is None:
            return F.scaled_dot_product_attention(query, key, value)
        with sdpa_kernel(self._backend):
            return F.scaled_dot_product_attention(query, key, value)
