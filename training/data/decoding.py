"""From a row's media bytes to frames of a bucket's shape: sampled at a rate, resized, centre-cropped."""

from __future__ import annotations

import io
from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from training.data.samples import Bucket
from training.errors import TrainingError

if TYPE_CHECKING:
    from curation.dataset import Dataset


ROUNDING = 5e-4  # seconds: time stamps are whole ticks


class Media(NamedTuple):
    """Bytes of a clip or image and, for edits, of the source it was edited from."""

    target: bytes
    source: bytes | None


def read_media(dataset: Dataset, sample_ids: Iterable[str]) -> dict[str, Media]:
    """Return the media of some samples, by sample id, in one scan of the shards."""
    listed = ", ".join(f"'{sample_id}'" for sample_id in sorted(set(sample_ids)))
    rows = dataset.iter_rows(("sample_id", "media", "edit_source"), where=f"sample_id IN ({listed})")
    return {row["sample_id"]: Media(row["media"], row["edit_source"]) for row in rows}


def decode(media: bytes, bucket: Bucket, fps: float, sample_id: str) -> Tensor:
    """Return frames [3, T, H, W] in [-1, 1], float32: T of the bucket, taken `fps` a second from the start.

    Raises TrainingError, naming the sample, for media that do not decode: shards hold what decoded once.
    """
    try:
        images = (
            _still(media, bucket.frames) if bucket.kind == "image" else _moving(media, bucket.frames, fps)
        )
        shaped = [ImageOps.fit(image, (bucket.width, bucket.height)) for image in images]
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise TrainingError(f"sample {sample_id} does not decode: {type(error).__name__}: {error}") from error
    frames = torch.from_numpy(np.stack([np.asarray(image) for image in shaped]))
    return frames.permute(3, 0, 1, 2).float() / 127.5 - 1


def _still(media: bytes, count: int) -> list[Image.Image]:
    with Image.open(io.BytesIO(media)) as image:
        return [ImageOps.exif_transpose(image).convert("RGB")] * count


def _moving(media: bytes, count: int, fps: float) -> list[Image.Image]:
    """The frames on show at times k / fps by their own time stamps: not every clip has a constant rate."""
    import av

    images: list[Image.Image] = []
    shown, start = None, 0.0
    with av.open(io.BytesIO(media)) as container:
        for frame in container.decode(video=0):
            time = float(frame.time or 0.0)
            start = time if shown is None else start
            while shown and len(images) < count and time - start > len(images) / fps + ROUNDING:
                images.append(shown.to_image())
            shown = frame
            if len(images) == count:
                break
    if shown is None:
        raise ValueError("no frame in the clip")
    return images + [shown.to_image()] * (count - len(images))  # the last one stays on show
