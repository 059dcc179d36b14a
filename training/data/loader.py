"""Decoded frames a little ahead of need: one thread reads shards and decodes while the model computes."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, NamedTuple

from torch import Tensor

from training.data.decoding import decode, read_media
from training.data.samples import View
from training.errors import TrainingError

if TYPE_CHECKING:
    from curation.dataset import Dataset


class Decoded(NamedTuple):
    """Frames [3, T, H, W] in [-1, 1] of a sample and, for edits, of its source."""

    target: Tensor
    source: Tensor | None


class Loader:
    """Frames of a dataset version. `waited` sums the seconds that takers stood waiting."""

    def __init__(self, dataset: Dataset) -> None:
        self.waited = 0.0
        self._dataset = dataset
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="decode")
        self._pending: dict[View, Future[dict[View, Decoded]]] = {}

    def prefetch(self, views: Iterable[View]) -> None:
        """Begin to load what will be taken soon."""
        new = [view for view in dict.fromkeys(views) if view not in self._pending]
        if new:
            self._pending.update(dict.fromkeys(new, self._pool.submit(self._load, new)))

    def take(self, view: View) -> Decoded:
        """Return a sample's frames, waiting for them if need be."""
        self.prefetch([view])
        started = time.perf_counter()
        loaded = self._pending.pop(view).result()
        self.waited += time.perf_counter() - started
        return loaded[view]

    def close(self) -> None:
        """Stop the thread; what was begun is dropped."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _load(self, views: Sequence[View]) -> dict[View, Decoded]:
        rendered = getattr(self._dataset, "render_all", None)
        if rendered is not None:  # a world that has no bytes
            return {view: Decoded(*frames) for view, frames in zip(views, rendered(views), strict=True)}
        media = read_media(self._dataset, (view.sample_id for view in views))
        if missing := [view.sample_id for view in views if view.sample_id not in media]:
            raise TrainingError(f"sample {missing[0]} is no longer in {self._dataset.uri}")
        return {view: _decoded(view, *media[view.sample_id]) for view in views}


def _decoded(view: View, target: bytes, source: bytes | None) -> Decoded:
    first, second = (
        None if media is None else decode(media, view.bucket, view.fps, view.sample_id)
        for media in (target, source)
    )
    assert first is not None
    return Decoded(first, second)
