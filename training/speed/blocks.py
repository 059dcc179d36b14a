"""The transformer's blocks as training runs them: recomputed by a mode, and compiled for each shape.

One graph serves all blocks of a shape, and shapes are a bucket's, so they are static. A recipe with more
shapes than `max_graphs` runs the others as they are. Without gradients, too, blocks run as they are: held-out
losses and clips are few.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from training.speed.checking import differing
from training.speed.config import Mode
from training.speed.recompute import recomputed

BACKEND = "inductor"


class Blocks:
    """Takes over `dit.blocks` until `remove`; weights and modules stay as they are."""

    def __init__(self, dit: Any, mode: Mode, compiled: bool, max_graphs: int) -> None:
        self._dit, self._mode, self._max_graphs = dit, mode, max_graphs
        self._graphs: dict[tuple[object, ...], bool] = {}  # whether what was compiled can be believed
        self._forward = type(dit.blocks[0]).forward  # its class's: the instances' are taken over below
        self._plain = recomputed(self._forward, mode, dit.config.ffn_dim)
        self._compiled = self._compile() if compiled else None
        for block in dit.blocks:
            block.forward = functools.partial(self._run, block)

    @property
    def graphs(self) -> int:
        """How many graphs are in use."""
        return sum(self._graphs.values())

    def remove(self) -> None:
        """Leave the blocks as they were."""
        for block in self._dit.blocks:
            block.__dict__.pop("forward", None)

    def _run(self, block: Any, *inputs: Any) -> Tensor:
        """A block's forward pass."""
        if not torch.is_grad_enabled():
            plain: Tensor = self._forward(block, *inputs)
            return plain
        chosen = self._compiled if self._compiled is not None and self._admits(block, inputs) else self._plain
        out: Tensor = chosen(block, *inputs)
        return out

    def _admits(self, block: Any, inputs: tuple[Any, ...]) -> bool:
        mask = getattr(block.attn2.processor, "mask", None)
        tokens, condition = inputs[:2]
        shape = (tokens.shape, condition.shape, None if mask is None else mask.shape)
        kind = (*shape, tokens.requires_grad)  # not those of a frozen transformer's first block
        if kind not in self._graphs and len(self._graphs) < self._max_graphs:
            wrong = differing(self._compiled, self._plain, block, inputs) if self._compiled else []
            self._graphs[kind] = not wrong
            if wrong:
                names = ", ".join(wrong[:5])
                print(f"blocks of {tuple(shape[0])} run uncompiled: compiled, gradients of {names} are wrong")
        return self._graphs.get(kind, False)

    def _compile(self) -> Callable[..., Any]:
        most = 2 * self._max_graphs  # beyond, dynamo would go over to uncompiled blocks without a word
        torch._dynamo.config.recompile_limit = max(torch._dynamo.config.recompile_limit, most)
        from torch._inductor import config as inductor

        inductor.triton.mix_order_reduction = False  # see training.speed.checking
        compiled: Callable[..., Any] = torch.compile(self._plain, backend=BACKEND, dynamic=False)
        return compiled
