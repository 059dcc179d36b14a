"""Randomness by name: what a sample meets depends on seed, sample and epoch, never on place or time.

So a resumed run, or one on another number of workers, sees the same noise, times and dropped captions.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple

import torch
from torch import Tensor

from omnivideo.config import TimeDistribution
from omnivideo.flow import time_of

Key = tuple[object, ...]
"""Seed, sample id, epoch and whatever else tells chances apart."""


class Kind(NamedTuple):
    """What chances have in common: the noise's shape [z, t, h, w], how times lie, the share without text."""

    shape: tuple[int, ...]
    shift: float = 1.0
    caption_dropout: float = 0.0
    distribution: TimeDistribution = "uniform"


class Chances(NamedTuple):
    """Noise X_0 [B, z, t, h, w], times t [B] in [0, 1], and which samples go without text this time."""

    noise: Tensor
    time: Tensor
    without_text: list[bool]


def chances(keys: Sequence[Key], kind: Kind, pinned: bool = False) -> Chances:
    """Draw each key's chances, those of no other key mattering; `pinned`: from where a GPU copies at once.

    Times are distributed as asked, then moved by the flow shift of the resolution. All on the CPU, float32,
    so that any device gets the same.
    """
    noise, drawn = torch.empty(len(keys), *kind.shape, pin_memory=pinned), torch.empty(len(keys), 2)
    source = torch.Generator()
    for key, mine, two in zip(keys, noise.unbind(), drawn.unbind(), strict=True):
        source.manual_seed(_seed(key))
        torch.rand(2, generator=source, out=two)
        torch.randn(kind.shape, generator=source, out=mine)
    time = time_of(drawn[:, 0], kind.shift, kind.distribution)
    return Chances(noise, time, (drawn[:, 1] < kind.caption_dropout).tolist())


def generator(*key: object) -> torch.Generator:
    """Return a CPU generator that is the same wherever the same key is given."""
    return torch.Generator().manual_seed(_seed(key))


def _seed(key: Key) -> int:
    return int.from_bytes(hashlib.sha256(repr(key).encode()).digest()[:8], "big") >> 1


class Ahead:
    """Chances drawn by a thread while the model computes: a video's noise takes a CPU ten milliseconds."""

    def __init__(self, pinned: bool = False) -> None:
        self._pinned = pinned
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="noise")
        self._begun: tuple[list[Key], Kind, Future[Chances]] | None = None

    def begin(self, keys: Sequence[Key], kind: Kind) -> None:
        """Begin to draw a batch's chances; what was begun before is let go of."""
        self._begun = list(keys), kind, self._pool.submit(chances, keys, kind, self._pinned)

    def take(self, keys: Sequence[Key], kind: Kind) -> Chances:
        """Return what `chances` does."""
        if self._begun is not None and self._begun[1] == kind:
            begun, _, future = self._begun
            first = begun.index(keys[0]) if keys[0] in begun else 0
            part = slice(first, first + len(keys))
            if begun[part] == list(keys):
                made = future.result()
                return Chances(made.noise[part], made.time[part], made.without_text[part])
        return chances(keys, kind, self._pinned)
