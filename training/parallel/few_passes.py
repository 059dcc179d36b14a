"""ZeRO-1's step in fewer passes over gradients and weights: what replaces parts of DeepSpeed's optimizer.

Theirs flattens the gradients, divides them, reduces them to every worker, copies them back, takes their norms
one by one, flattens them again, and copies the masters, which are the very numbers of float32 parameters,
into the parameters. Here gradients are flattened once, each worker gets the sum of its own part alone, the
norm is that which the log wants anyway, and masters are views of the parameters' flat storage: on one GPU a
fifth of the passes, and room for a weight less.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor


class Part(list[Tensor]):
    """A worker's part of a group's reduced gradients: `flat_partition`, and its pieces by parameter in order.

    DeepSpeed's optimizer takes a list with such an attribute as flat already.
    """

    def __init__(self, flat: Tensor, pieces: Sequence[Tensor]) -> None:
        super().__init__(pieces)
        self.flat_partition = flat


class FewPasses:
    """Takes over `optimizer`, DeepSpeed's of stage 1 over float32 parameters that lie in flat groups."""

    def __init__(self, optimizer: Any) -> None:
        self._optimizer = optimizer
        optimizer.reduce_gradients = self._reduce
        optimizer._update_model_bit16_weights = _stay  # they lie where they lay
        for number, master in enumerate(optimizer.single_partition_of_fp32_groups):
            for parameter in optimizer.bit16_groups[number]:
                parameter._hp_mapping = None  # it would hold on to the master's own storage
            rank = dist.get_rank(optimizer.real_dp_process_group[number])
            master.data = optimizer.parallel_partitioned_bit16_groups[number][rank].data

    def _reduce(self, pipeline_parallel: bool = False) -> None:
        """Give each worker the mean gradients of its parts; those of the parameters are gone."""
        for number, group in enumerate(self._optimizer.bit16_groups):
            pieces = [parameter.grad.reshape(-1) for parameter in group]
            whole = int(self._optimizer.bit16_groups_flat[number].numel())
            missing = whole - sum(piece.numel() for piece in pieces)
            flat = torch.cat([*pieces, pieces[0].new_zeros(missing)])
            lengths = [piece.numel() for piece in pieces]
            del pieces
            for parameter in group:
                parameter.grad = None
            process_group = self._optimizer.real_dp_process_group[number]
            mine = mean_part(flat, process_group)
            self._optimizer.averaged_gradients[number] = Part(
                mine, _pieces(mine, lengths, dist.get_rank(process_group))
            )


def mean_part(flat: Tensor, group: Any) -> Tensor:
    """Return this process's stretch of the mean of all processes' `flat`, which is used up."""
    size, rank = dist.get_world_size(group), dist.get_rank(group)
    if size == 1:
        return flat
    if flat.is_cuda:
        mine = flat.new_empty(flat.numel() // size)
        dist.reduce_scatter_tensor(mine, flat, op=dist.ReduceOp.AVG, group=group)
        return mine
    dist.all_reduce(flat.div_(size), group=group)
    return flat.chunk(size)[rank].clone()


def _pieces(mine: Tensor, lengths: Sequence[int], rank: int) -> list[Tensor]:
    """Cut a part where its parameters meet, and where padding begins."""
    first, ends = rank * mine.numel(), torch.tensor(lengths).cumsum(0).tolist()
    inside = [end - first for end in ends if first < end < first + mine.numel()]
    cuts = [0, *inside, mine.numel()]
    return [mine[start:end] for start, end in itertools.pairwise(cuts)]


def _stay(group: int) -> None:
    """Stands for pointing parameters anew at their flat storage."""
