"""One position after another through the language model: the prompt once, then steps that reuse its keys.

A cache that grows has another shape at each step, and on a GPU attention is then planned anew each time,
apart from the thousand kernel launches; both cost far more than reading an 8-billion-parameter model's
weights. There one step over a cache of fixed size is captured as a CUDA graph and replayed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache

from omnivideo.reading import LanguageModel, Reading

Step = Callable[[Tensor], Tensor]  # the next position's embedding [B, 1, D] -> its hidden state [B, 1, D]


def begin(mllm: LanguageModel, prompt: Reading, steps: int) -> tuple[Tensor, Step]:
    """The last hidden state [B, 1, D] of a prompt, and what takes up to `steps` more positions.

    Call without gradients.
    """
    cache: Any = DynamicCache()
    hidden = mllm(prompt.embeds, prompt.mask, cache, prompt.positions)[:, -1:]
    if not prompt.embeds.is_cuda:
        return hidden, GrowingSteps(mllm, cache, prompt)
    steps_ahead = FixedSteps(mllm, cache, prompt, steps)
    if hasattr(mllm, "_hf_hook"):  # an offloaded part moves, so it cannot be captured
        return hidden, steps_ahead
    return hidden, CapturedSteps(steps_ahead, prompt.embeds[:, -1:])


class GrowingSteps:
    """Steps whose cache grows by one position each."""

    def __init__(self, mllm: LanguageModel, cache: Any, prompt: Reading) -> None:
        self.mllm, self.cache = mllm, cache
        self.past = prompt._replace(embeds=prompt.embeds[:, :0])

    def __call__(self, embeds: Tensor) -> Tensor:
        """[B, 1, D] -> [B, 1, D]."""
        now = self.past.followed_by(embeds)
        self.past = now._replace(embeds=now.embeds[:, :0])
        last = None if now.positions is None else now.positions[..., -1:]
        return self.mllm(embeds, now.mask, self.cache, last)


class FixedSteps:
    """Steps over a cache with room for all of them: every shape stays the same, every state is a tensor."""

    def __init__(self, mllm: LanguageModel, cache: Any, prompt: Reading, steps: int) -> None:
        self.mllm, self.mask = mllm, prompt.mask
        room = -(-(self.mask.shape[1] + steps) // 8) * 8  # attention kernels want aligned masks
        self.keys = [_roomy(layer.keys, room) for layer in cache.layers]
        self.values = [_roomy(layer.values, room) for layer in cache.layers]
        self.bias = prompt.embeds.new_zeros(len(self.mask), 1, 1, room)
        self.cursor = torch.zeros(1, device=self.mask.device, dtype=torch.long)
        counted = self.mask.sum(dim=1, keepdim=True)
        self.start = counted if prompt.positions is None else prompt.positions[..., -1:] + 1
        self.positions = self.start.clone()
        self.rewind()

    def rewind(self) -> None:
        """Back to the end of the prompt."""
        length = self.mask.shape[1]
        self.bias.fill_(torch.finfo(self.bias.dtype).min)
        self.bias[..., :length].masked_fill_(self.mask[:, None, None], 0.0)
        self.cursor.fill_(length)
        self.positions.copy_(self.start)

    def __call__(self, embeds: Tensor) -> Tensor:
        """[B, 1, D] -> [B, 1, D]."""
        self.bias.index_fill_(3, self.cursor, 0.0)
        hidden = self.mllm(embeds, self.bias, self, self.positions)
        self.cursor.add_(1)
        self.positions.add_(1)
        return hidden

    def update(self, keys: Tensor, values: Tensor, layer: int, *_: Any, **__: Any) -> tuple[Tensor, Tensor]:
        """What a transformers attention layer asks of a cache: keep these [B, H, 1, d], give all."""
        kept_keys, kept_values = self.keys[layer], self.values[layer]
        kept_keys.index_copy_(2, self.cursor, keys.to(kept_keys.dtype))  # under autocast the two types differ
        kept_values.index_copy_(2, self.cursor, values.to(kept_values.dtype))
        return kept_keys, kept_values


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
