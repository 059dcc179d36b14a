"""Ulysses sequence parallelism for Wan's self-attention (DeepSpeed-Ulysses, arXiv:2309.14509).

Each of N processes keeps its stretch of the video's tokens through all blocks. Around self-attention an
all-to-all trades tokens for heads: every process attends over the whole sequence with 1/N of the heads.
Cross-attention needs no trade, for every process has the whole condition (source-video tokens among it).

Stretches differ by at most one token, so any length will do and attention never sees padding. The gathered
output's gradient goes back to each process's own stretch alone: gradients of weights are parts of a whole,
and their sum over the processes is that of one process with all of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
import torch.distributed as dist
import torch.distributed._functional_collectives as collectives
import torch.nn.functional as F
from diffusers.models.attention_dispatch import dispatch_attention_fn
from diffusers.models.transformers.transformer_wan import WanAttnProcessor
from torch import Tensor, nn

from omnivideo.errors import InputError


class SequenceParallel:
    """Splits the sequence of `dit` (a WanTransformer3DModel) over the processes of `group`, until `remove`.

    All processes must call the transformer with the same inputs, and get the same output.
    """

    def __init__(self, dit: Any, group: dist.ProcessGroup) -> None:
        self.group, self.rank, self.size = group, dist.get_rank(group), dist.get_world_size(group)
        check_heads(dit.config.num_attention_heads, self.size)
        self.lengths: list[int] = []
        self.active = True
        self._dit, self._before = dit, [block.attn1.processor for block in dit.blocks]
        for block in dit.blocks:
            block.attn1.set_processor(UlyssesAttention(self, block.attn1.processor))
        self._hooks = [
            dit.rope.register_forward_hook(self._split_angles),
            dit.blocks[0].register_forward_pre_hook(self._split_tokens),
            dit.proj_out.register_forward_hook(self._join),
        ]

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Let each process run the transformer by itself for a while."""
        self.active = False
        try:
            yield
        finally:
            self.active = True

    def remove(self) -> None:
        """Leave the transformer as it was."""
        for hook in self._hooks:
            hook.remove()
        for block, processor in zip(self._dit.blocks, self._before, strict=True):
            block.attn1.set_processor(processor)

    @property
    def _place(self) -> slice:
        start = sum(self.lengths[: self.rank])
        return slice(start, start + self.lengths[self.rank])

    def _split_angles(self, module: Any, inputs: Any, angles: tuple[Tensor, Tensor]) -> Any:
        """Rotary angles [1, T, 1, d] of the whole sequence: each process turns its own tokens only."""
        if not self.active:
            return angles
        self.lengths = stretches(angles[0].shape[1], self.size)
        return tuple(part[:, self._place] for part in angles)

    def _split_tokens(self, module: Any, inputs: tuple[Any, ...]) -> Any:
        tokens, *rest = inputs
        return (tokens[:, self._place], *rest) if self.active else inputs

    def _join(self, module: Any, inputs: Any, output: Tensor) -> Tensor:
        if not self.active:
            return output
        whole: Tensor = _Gather.apply(output, self)  # type: ignore[no-untyped-call]
        return whole


class UlyssesAttention(WanAttnProcessor):  # type: ignore[misc]  # diffusers ships no types
    """Wan's self-attention over all processes' tokens; by the backend that `before` was set to use."""

    def __init__(self, parallel: SequenceParallel, before: Any) -> None:
        super().__init__()
        self._parallel, self._attention_backend = parallel, before._attention_backend

    def __call__(  # noqa: D102 -- the signature of the class it extends
        self,
        attn: Any,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
        rotary_emb: Any = None,
    ) -> Tensor:
        if not self._parallel.active:
            alone: Tensor = super().__call__(
                attn, hidden_states, encoder_hidden_states, attention_mask, rotary_emb
            )
            return alone
        query, key, value = projected(attn, hidden_states)
        value = value.view(*value.shape[:2], attn.heads, -1)
        query, key = (
            rotate(norm(x).unflatten(2, (attn.heads, -1)), *rotary_emb).to(value.dtype)
            for norm, x in ((attn.norm_q, query), (attn.norm_k, key))
        )
        lengths, rank, group = self._parallel.lengths, self._parallel.rank, self._parallel.group
        whole = tokens_for_heads(torch.stack([query, key, value]), lengths, rank, group)
        attended = dispatch_attention_fn(*whole.unbind(), backend=self._attention_backend)
        mine = heads_for_tokens(attended[None], lengths, rank, group)[0]
        out: Tensor = attn.to_out[1](attn.to_out[0](mine.flatten(2).to(query.dtype)))
        return out


def projected(attn: Any, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Queries, keys and values [B, T, C] each; one by one where a layer is more than linear (a LoRA's), or
    has its weights only while it runs itself (ZeRO-3's).
    """
    layers = (attn.to_q, attn.to_k, attn.to_v)
    if not all(type(layer) is nn.Linear and layer.weight.numel() for layer in layers):
        query, key, value = (layer(x) for layer in layers)
        return query, key, value
    weight, bias = (torch.cat([getattr(layer, name) for layer in layers]) for name in ("weight", "bias"))
    query, key, value = F.linear(x, weight, bias).chunk(3, dim=-1)
    return query, key, value


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Turn pairs of channels of x [B, T, H, d] by angles given as cosines and sines [1, T, 1, d], each
    twice.
    """
    first, second = x.reshape(*x.shape[:-1], -1, 2).unbind(-1)
    cos, sin = cos[..., 0::2], sin[..., 1::2]
    turned = torch.stack([first * cos - second * sin, first * sin + second * cos], dim=-1)
    return turned.flatten(-2).to(x.dtype)


def tokens_for_heads(x: Tensor, lengths: Sequence[int], rank: int, group: dist.ProcessGroup) -> Tensor:
    """[K, B, T_rank, H, d] of this process's tokens -> [K, B, T, H/N, d], all tokens of its heads."""
    size = len(lengths)
    kinds, batch, mine, heads, width = x.shape
    by_process = x.reshape(kinds, batch, mine, size, heads // size, width)
    rows = by_process.permute(3, 2, 0, 1, 4, 5).flatten(0, 1)
    received = exchange(rows, list(lengths), [lengths[rank]] * size, group)
    return received.permute(1, 2, 0, 3, 4)


def heads_for_tokens(x: Tensor, lengths: Sequence[int], rank: int, group: dist.ProcessGroup) -> Tensor:
    """[K, B, T, H/N, d] -> [K, B, T_rank, H, d]: the way back."""
    size = len(lengths)
    received = exchange(x.permute(2, 0, 1, 3, 4), [lengths[rank]] * size, list(lengths), group)
    by_process = received.reshape(size, lengths[rank], *received.shape[1:])
    return by_process.permute(2, 3, 1, 0, 4, 5).flatten(3, 4)


def exchange(rows: Tensor, received: list[int], sent: list[int], group: dist.ProcessGroup) -> Tensor:
    """Send the first `sent[0]` rows to process 0 and so on; return the rows that all of them sent here."""
    out: Tensor = _Exchange.apply(rows, received, sent, group)  # type: ignore[no-untyped-call]
    return out


class _Exchange(torch.autograd.Function):
    """All-to-all; gradients go back the way that values came."""

    @staticmethod
    def forward(
        ctx: Any, rows: Tensor, received: list[int], sent: list[int], group: dist.ProcessGroup
    ) -> Tensor:
        ctx.received, ctx.sent, ctx.group = received, sent, group
        return _all_to_all(rows, received, sent, group)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        return _all_to_all(gradient, ctx.sent, ctx.received, ctx.group), None, None, None


class _Gather(torch.autograd.Function):
    """All stretches [B, T_rank, C] as one [B, T, C]; each process's gradient is its own stretch of it."""

    @staticmethod
    def forward(ctx: Any, mine: Tensor, parallel: SequenceParallel) -> Tensor:
        ctx.place, lengths = parallel._place, parallel.lengths
        rows = mine.transpose(0, 1)
        sent = rows.expand(parallel.size, *rows.shape).flatten(0, 1)
        whole = _all_to_all(sent, lengths, [len(rows)] * parallel.size, parallel.group)
        return whole.transpose(0, 1)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        return gradient[:, ctx.place], None


def _all_to_all(rows: Tensor, received: list[int], sent: list[int], group: dist.ProcessGroup) -> Tensor:
    out = collectives.all_to_all_single(rows.contiguous(), received, sent, group)
    waited: Tensor = out.wait() if isinstance(out, collectives.AsyncCollectiveTensor) else out
    return waited


def stretches(tokens: int, count: int) -> list[int]:
    """Divide a sequence into `count` stretches that differ by at most one token."""
    least, rest = divmod(tokens, count)
    return [least + (number < rest) for number in range(count)]


def check_heads(heads: int, size: int) -> None:
    """Raise InputError unless `size` processes can each have as many of the heads."""
    if heads % size:
        fitting = [str(n) for n in range(1, heads + 1) if heads % n == 0]
        raise InputError(
            f"sequence_parallel {size} does not divide the transformer's {heads} attention heads",
            "sequence parallelism",
            f"set cluster.sequence_parallel to one of {', '.join(fitting)}",
        )
