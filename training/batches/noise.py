"""Randomness by name: what a sample meets depends on seed, sample and epoch, never on place or time.

So a resumed run, or one on another number of workers, sees the same noise, times and dropped captions.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple

import torch

from omnivideo.flow import sample_time


class Chance(NamedTuple):
    """Noise X_0 [z, t, h, w], time t in [0, 1], and whether the sample goes without text this time."""

    noise: torch.Tensor
    time: torch.Tensor
    without_text: bool


def generator(*key: object) -> torch.Generator:
    """Return a CPU generator that is the same wherever the same key is given."""
    digest = hashlib.sha256(repr(key).encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "big") >> 1)


def chance(
    shape: tuple[int, ...], key: tuple[object, ...], shift: float = 1.0, caption_dropout: float = 0.0
) -> Chance:
    """Draw a sample's chances for `key` = (seed, sample id, epoch, …).

    Times are uniform (Eq. 4), then moved by the flow shift of the resolution. All on the CPU, float32, so
    that any device gets the same.
    """
    source = generator(*key)
    time = sample_time((), source, shift)
    without_text = bool(torch.rand((), generator=source) < caption_dropout)
    return Chance(torch.randn(shape, generator=source), time, without_text)


class Ahead:
    """Chances drawn by a thread while the model computes: a video's noise takes a CPU ten milliseconds."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="noise")
        self._pending: dict[tuple[object, ...], Future[Chance]] = {}

    def begin(self, wanted: Iterable[tuple[tuple[int, ...], tuple[object, ...], float, float]]) -> None:
        """Begin to draw chances, by the arguments of `chance`; others that were begun are let go of."""
        before, self._pending = self._pending, {}
        for arguments in wanted:
            self._pending[arguments] = before.get(arguments) or self._pool.submit(chance, *arguments)

    def take(
        self, shape: tuple[int, ...], key: tuple[object, ...], shift: float, caption_dropout: float
    ) -> Chance:
        """Return what `chance` does."""
        begun = self._pending.pop((shape, key, shift, caption_dropout), None)
        return chance(shape, key, shift, caption_dropout) if begun is None else begun.result()
