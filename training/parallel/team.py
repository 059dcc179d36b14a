"""The workers of a run, as one of them sees them. Thin words over torch.distributed's default group."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

Value = TypeVar("Value")


@dataclass(frozen=True)
class Team:
    """This worker's `rank` among `size`, and its device. Through `host`, a group over gloo, figures go around
    a GPU: over NCCL they would wait for all of its work.
    """

    rank: int = 0
    size: int = 1
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    host: Any = None

    @classmethod
    def current(cls, device: torch.device) -> Team:
        """Return the team of the process group that is already joined."""
        around = device.type == "cuda" and dist.get_world_size() > 1
        host = dist.new_group(backend="gloo") if around else None
        return cls(dist.get_rank(), dist.get_world_size(), device, host)

    def wait(self) -> None:
        """Return when all workers have come here."""
        if self.size > 1:
            dist.barrier()

    def gather(self, value: Value) -> list[Value]:
        """Return every worker's value, in order of rank. Values are few and small: they travel pickled."""
        if self.size == 1:
            return [value]
        values: list[Value | None] = [None] * self.size
        dist.all_gather_object(values, value, group=self.host)
        return [value for value in values if value is not None]

    def sum(self, values: Tensor) -> Tensor:
        """Return the sum of every worker's float64 `values`."""
        values = values.to("cpu", torch.float64)
        if self.size > 1:
            dist.all_reduce(values, group=self.host)
        return values
