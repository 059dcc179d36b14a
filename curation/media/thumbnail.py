"""What a person sees of a clip, and what duplicates are found by."""

from __future__ import annotations

import io

import cv2
import imagehash
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from curation.filters import Frames
from curation.media.sampler import nearest

HEIGHT = 96  # pixels
WIDEST = 171  # pixels of one frame of the strip
FRAMES = 5
FRACTIONS = (0.1, 0.3, 0.5, 0.7, 0.9)

Samples = list[tuple[float, NDArray[np.uint8]]]


def wanted(width: int, height: int) -> Frames:
    """The frames that strips and fingerprints are made of: small colour pictures."""
    scale = min(1.0, HEIGHT / height, WIDEST / width)
    return Frames(count=FRAMES, long_side=max(1, round(max(width, height) * scale)), color="rgb")


def pick(samples: Samples, start_s: float, end_s: float) -> list[NDArray[np.uint8]]:
    """The five pictures at tenths 1, 3, 5, 7 and 9 of a clip; one picture stands for all of an image."""
    return [picture for _, picture in nearest(samples, points(start_s, end_s))]


def points(start_s: float, end_s: float) -> list[float]:
    """The seconds at which a clip is shown."""
    return [start_s + fraction * (end_s - start_s) for fraction in FRACTIONS]


def strip(pictures: list[NDArray[np.uint8]]) -> bytes:
    """A JPEG of up to five pictures side by side, 96 px high (black above and below wide ones).

    WebP takes six times as long, for a quarter fewer bytes. Chroma is whole, for colours are named from it.
    """
    distinct = [p for i, p in enumerate(pictures) if all(p is not q for q in pictures[:i])]
    row = np.hstack([_framed(picture) for picture in distinct[:FRAMES]])
    buffer = io.BytesIO()
    Image.fromarray(row).save(buffer, "JPEG", quality=70, subsampling="4:4:4")
    return buffer.getvalue()


def apart(strip: bytes, width: int, height: int) -> list[NDArray[np.uint8]]:
    """The pictures of the strip of a clip of this size, without their black bars."""
    row = np.asarray(Image.open(io.BytesIO(strip)).convert("RGB"))
    wide, high = _fitted(width, height)
    top = (HEIGHT - high) // 2
    count = max(1, round(row.shape[1] / wide))
    return [np.ascontiguousarray(part) for part in np.array_split(row[top : top + high], count, axis=1)]


def fingerprint(pictures: list[NDArray[np.uint8]]) -> bytes:
    """40 bytes: the 64-bit perceptual hash (`imagehash.phash`: DCT of 32x32 luma) of each of 5 pictures."""
    known: dict[int, bytes] = {}
    for picture in pictures:
        if id(picture) not in known:
            bits = imagehash.phash(Image.fromarray(picture)).hash
            known[id(picture)] = np.packbits(bits.flatten()).tobytes()
    return b"".join(known[id(picture)] for picture in pictures)


def _framed(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A picture on a canvas of the strip's height, enlarged if it is smaller."""
    size = _fitted(picture.shape[1], picture.shape[0])
    canvas = np.zeros((HEIGHT, size[0], 3), np.uint8)
    top = (HEIGHT - size[1]) // 2
    canvas[top : top + size[1]] = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    return canvas


def _fitted(width: int, height: int) -> tuple[int, int]:
    """Width and height of a picture in the strip."""
    scale = min(HEIGHT / height, WIDEST / width)
    return max(1, round(width * scale)), max(1, round(height * scale))
