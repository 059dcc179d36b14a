"""Decoded frames a little ahead of need: one thread reads shards and decodes while the model computes."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, NamedTuple

from torch import Tensor

from training.data import decode, read_media
from training.errors import TrainingError
from training.samples import Bucket, Sample

if TYPE_CHECKING:
    from curation.dataset import Dataset


class Decoded(NamedTuple):
    """Frames [3, T, H, W] in [-1, 1] of a sample and, for edits, of its source."""

    target: Tensor
    source: Tensor | None


class Loader:
    """Frames of a dataset version, videos at `fps`. `waited` sums the seconds that takers stood waiting."""

    def __init__(self, dataset: Dataset, fps: float) -> None:
        self.waited = 0.0
        self._dataset, self._fps = dataset, fps
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="decode")
        self._pending: dict[tuple[str, Bucket], Future[dict[str, Decoded]]] = {}

    def prefetch(self, samples: Sequence[Sample], bucket: Bucket) -> None:
        """Begin to load samples that will be taken soon."""
        new = [sample for sample in samples if (sample.sample_id, bucket) not in self._pending]
        if not new:
            return
        future = self._pool.submit(self._load, sorted({sample.sample_id for sample in new}), bucket)
        self._pending.update({(sample.sample_id, bucket): future for sample in new})

    def take(self, sample: Sample, bucket: Bucket) -> Decoded:
        """Return a sample's frames, waiting for them if need be."""
        self.prefetch([sample], bucket)
        started = time.perf_counter()
        loaded = self._pending.pop((sample.sample_id, bucket)).result()
        self.waited += time.perf_counter() - started
        return loaded[sample.sample_id]

    def close(self) -> None:
        """Stop the thread; what was begun is dropped."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _load(self, sample_ids: Sequence[str], bucket: Bucket) -> dict[str, Decoded]:
        media = read_media(self._dataset, sample_ids)
        if missing := [sample_id for sample_id in sample_ids if sample_id not in media]:
            raise TrainingError(f"sample {missing[0]} is no longer in {self._dataset.uri}")
        return {
            sample_id: Decoded(
                decode(target, bucket, self._fps, sample_id),
                None if source is None else decode(source, bucket, self._fps, sample_id),
            )
            for sample_id, (target, source) in media.items()
        }
