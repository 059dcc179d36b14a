"""One position after another through the language model: the prompt once, then steps that reuse its keys.

On a GPU a step of an 8-billion-parameter model takes its thousand kernel launches longer than its weights;
there one step is captured as a CUDA graph over a cache of fixed size and replayed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache

from omnivideo.mllm import Mllm

Step = Callable[[Tensor], Tensor]  # the next position's embedding [B, 1, D] -> its hidden state [B, 1, D]


def begin(mllm: Mllm, prompt: Tensor, mask: Tensor, steps: int) -> tuple[Tensor, Step]:
    """The last hidden state [B, 1, D] of left-padded prompts [B, L, D], and what takes up to `steps` more
    positions.

    Call without gradients. mask [B, L] is true at real positions.
    """
    cache: Any = DynamicCache()
    hidden = mllm(prompt, mask, cache)[:, -1:]
    if prompt.is_cuda and not hasattr(mllm, "_hf_hook"):  # an offloaded part cannot be captured
        return hidden, CapturedSteps(FixedSteps(mllm, cache, mask, steps, prompt.dtype), prompt[:, -1:])
    return hidden, GrowingSteps(mllm, cache, mask)


class GrowingSteps:
    """Steps whose cache grows by one position each."""

    def __init__(self, mllm: Mllm, cache: Any, mask: Tensor) -> None:
        self.mllm, self.cache, self.mask = mllm, cache, mask

    def __call__(self, embeds: Tensor) -> Tensor:
        """[B, 1, D] -> [B, 1, D]."""
        self.mask = torch.cat([self.mask, self.mask.new_ones(len(self.mask), 1)], dim=1)
        hidden: Tensor = self.mllm(embeds, self.mask, self.cache)
        return hidden


class FixedSteps:
    """Steps over a cache with room for all of them: every shape stays the same, every state is a tensor."""

    def __init__(self, mllm: Mllm, cache: Any, mask: Tensor, steps: int, dtype: torch.dtype) -> None:
        self.mllm, self.prompt_mask = mllm, mask
        room = -(-(mask.shape[1] + steps) // 8) * 8  # attention kernels want aligned masks
        self.keys = [_roomy(layer.keys, room) for layer in cache.layers]
        self.values = [_roomy(layer.values, room) for layer in cache.layers]
        self.bias = torch.zeros(len(mask), 1, 1, room, device=mask.device, dtype=dtype)
        self.cursor = torch.zeros(1, device=mask.device, dtype=torch.long)
        self.positions = torch.zeros(len(mask), 1, device=mask.device, dtype=torch.long)
        self.rewind()

    def rewind(self) -> None:
        """Back to the end of the prompt."""
        length = self.prompt_mask.shape[1]
        self.bias.fill_(torch.finfo(self.bias.dtype).min)
        self.bias[..., :length].masked_fill_(self.prompt_mask[:, None, None], 0.0)
        self.cursor.fill_(length)
        self.positions.copy_(self.prompt_mask.sum(dim=1, keepdim=True))

    def __call__(self, embeds: Tensor) -> Tensor:
        """[B, 1, D] -> [B, 1, D]."""
        self.bias.index_fill_(3, self.cursor, 0.0)
        hidden: Tensor = self.mllm(embeds, self.bias, self, self.positions)
        self.cursor.add_(1)
        self.positions.add_(1)
        return hidden

    def update(self, keys: Tensor, values: Tensor, layer: int, *_: Any, **__: Any) -> tuple[Tensor, Tensor]:
        """What a transformers attention layer asks of a cache: keep these [B, H, 1, d], give all."""
        kept_keys, kept_values = self.keys[layer], self.values[layer]
        kept_keys.index_copy_(2, self.cursor, keys.to(kept_keys.dtype))  # under autocast the two types differ
        kept_values.index_copy_(2, self.cursor, values.to(kept_values.dtype))
        return self.keys[layer], self.values[layer]


def _roomy(states: Tensor, room: int) -> Tensor:
    batch, heads, length, size = states.shape
    roomy = states.new_zeros(batch, heads, room, size)
    roomy[:, :, :length] = states
    return roomy


class CapturedSteps:
    """`steps` as one CUDA graph, replayed on a buffer of its own; results are copies.

    Holds `steps` too: the graph reads and writes its tensors, which must not be given back while it lives.
    """

    def __init__(self, steps: FixedSteps, example: Tensor) -> None:
        self.steps, self.buffer = steps, example.clone()
        stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(2):  # libraries set themselves up outside the graph
                steps(self.buffer)
                steps.rewind()
        torch.cuda.current_stream().wait_stream(stream)
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph):
            self.hidden = steps(self.buffer)
        steps.rewind()

    def __call__(self, embeds: Tensor) -> Tensor:
        """[B, 1, D] -> [B, 1, D]."""
        self.buffer.copy_(embeds)
        self.graph.replay()
        return self.hidden.clone()
