"""Numbers to a GPU and back while it computes: an ordinary copy waits for all that was asked of it before."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def sent(tensor: Tensor, device: torch.device, dtype: torch.dtype | None = None) -> Tensor:
    """Return a CPU's tensor on `device`; the copy takes its turn there, nobody waits for it."""
    if device.type != "cuda" or tensor.device.type != "cpu":
        return tensor.to(device, dtype or tensor.dtype)
    return tensor.to(dtype or tensor.dtype).pin_memory().to(device, non_blocking=True)


class Coming:
    """A tensor on its way to the CPU: `take` waits for what made it, not for what it was asked since."""

    def __init__(self, tensor: Tensor) -> None:
        self._made: Any = None
        self._copy = tensor
        if tensor.is_cuda:
            self._copy = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True)
            self._copy.copy_(tensor, non_blocking=True)
            self._made = torch.cuda.Event()  # type: ignore[no-untyped-call]
            self._made.record()

    def take(self) -> Tensor:
        """Return it."""
        if self._made is not None:
            self._made.synchronize()
        return self._copy
