"""Proof that frozen parts stayed as they were: digests of every tensor, before and after a stage."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn

from training.errors import TrainingError


def digest(module: nn.Module) -> str:
    """Return a SHA-256 over names, types, shapes and bytes of all parameters and buffers of `module`."""
    total = hashlib.sha256()
    tensors: list[tuple[str, Tensor]] = [*module.named_parameters(), *module.named_buffers()]
    for name, tensor in sorted(tensors, key=lambda pair: pair[0]):
        total.update(f"{name}:{tensor.dtype}:{tuple(tensor.shape)}:".encode())
        total.update(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().data)
    return total.hexdigest()


def digests(parts: Mapping[str, nn.Module]) -> dict[str, str]:
    """Return the digest of each part."""
    return {name: digest(part) for name, part in sorted(parts.items())}


def check_unchanged(
    before: Mapping[str, str], after: Mapping[str, str], stage: str, frozen: Iterable[str]
) -> None:
    """Raise TrainingError, naming the parts, unless every frozen part is bit-identical to what it was."""
    moved = [name for name in sorted(frozen) if before[name] != after[name]]
    if moved:
        raise TrainingError(f"frozen parts changed during {stage}: {', '.join(moved)}")
