"""Whole steps as CUDA graphs: at these sizes starting kernels takes ten times as long as running them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

EAGER = 3  # steps of each kind before it is captured: optimiser states and kernels' plans are then there
Step = Callable[[str, tuple[Tensor, ...]], Tensor]


class _Captured(NamedTuple):
    graph: torch.cuda.CUDAGraph
    inputs: tuple[Tensor, ...]
    loss: Tensor


class Replayed:
    """Takes steps by replaying them, a graph for each kind of batch; inputs of a kind keep their shapes."""

    def __init__(self, step: Step) -> None:
        self._step, self._taken = step, Counter[str]()
        self._captured: dict[str, _Captured] = {}
        self._stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]

    def __call__(self, kind: str, inputs: tuple[Tensor, ...]) -> Tensor:
        """Take a step and return its loss, which the next step of the kind overwrites."""
        self._taken[kind] += 1
        if self._taken[kind] <= EAGER:
            self._stream.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(self._stream):
                loss = self._step(kind, inputs)
            torch.cuda.current_stream().wait_stream(self._stream)
            return loss
        if kind not in self._captured:
            self._captured[kind] = self._capture(kind, inputs)
        graph, buffers, loss = self._captured[kind]
        for buffer, given in zip(buffers, inputs, strict=True):
            buffer.copy_(given)
        graph.replay()
        return loss

    def _capture(self, kind: str, inputs: tuple[Tensor, ...]) -> _Captured:
        torch.cuda.synchronize()
        buffers = tuple(given.clone() for given in inputs)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, capture_error_mode="thread_local"):
            loss = self._step(kind, buffers)
        return _Captured(graph, buffers, loss)
