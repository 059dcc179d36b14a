"""Image files as 8-bit RGB: upright, transparency on white, any depth, the first frame of several."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from curation.errors import MediaError
from curation.filters import Frames, Kind
from curation.media.held import fit
from curation.media.probe import open_image

Bytes = NDArray[np.uint8]
ORIENTATION = 0x0112  # EXIF tag
DEEP = ("I;16", "I;16L", "I;16B", "I;16N", "I", "F")


@dataclass
class PictureClip:
    """An image as filters see it (`curation.filters.Clip`): one frame, no time."""

    pixels: Bytes  # [H,W,3]
    kind: Kind = "image"
    fps: float | None = None
    num_frames: int = 1
    start_s: float = 0.0
    end_s: float = 0.0

    @property
    def width(self) -> int:
        """Pixels, after orientation."""
        return int(self.pixels.shape[1])

    @property
    def height(self) -> int:
        """Pixels, after orientation."""
        return int(self.pixels.shape[0])

    def frames(self, needs: Frames) -> Bytes:
        """[1,H,W] or [1,H,W,3] at the asked size."""
        size = fit(self.width, self.height, needs.long_side)
        small = self.pixels
        if size != (self.width, self.height):
            small = cv2.resize(small, size, interpolation=cv2.INTER_AREA)
        return (cv2.cvtColor(small, cv2.COLOR_RGB2GRAY) if needs.color != "rgb" else small)[None]

    def times(self, needs: Frames) -> NDArray[np.float64]:
        """[1], zero."""
        return np.zeros(1)


def size_of(path: Path, max_pixels: int) -> tuple[int, int]:
    """(width, height) after orientation, from the header alone."""
    with open_image(path, max_pixels) as image:
        return (image.height, image.width) if orientation(image) >= 5 else (image.width, image.height)


def orientation(image: Image.Image) -> int:
    """EXIF's orientation, 1 (upright) to 8, without decoding the pixels."""
    if image.format == "PNG" and "exif" not in image.info:
        return 1  # Pillow would decode all of a PNG to look for a late one
    return int(image.getexif().get(ORIENTATION, 1))


def read(path: Path, max_pixels: int) -> Bytes:
    """[H,W,3] uint8. Raises MediaError, "truncated" if the data ends early; others of Pillow go through."""
    with open_image(path, max_pixels) as image:
        try:
            image.load()
        except OSError as error:
            slug = "truncated" if "truncated" in str(error) else "undecodable"
            raise MediaError(slug, f"{type(error).__name__}: {error}") from error
        return np.ascontiguousarray(_rgb(ImageOps.exif_transpose(image)))


def _rgb(image: Image.Image) -> Bytes:
    if image.mode in DEEP:
        return np.repeat(_to_8_bit(np.asarray(image))[..., None], 3, axis=2)
    if image.has_transparency_data:
        over = image.convert("RGBA")
        paper = Image.new("RGBA", over.size, "white")
        return np.asarray(Image.alpha_composite(paper, over).convert("RGB"))
    return np.asarray(image.convert("RGB"))


def _to_8_bit(values: NDArray[np.generic]) -> Bytes:
    """Deep greys to 8 bits: 16-bit by its range, floats from 0-1 or from their own range."""
    deep = np.nan_to_num(values.astype(np.float64))
    if values.dtype.kind in "iu":
        top = 65535.0 if deep.max() > 255 else 255.0
        return np.clip(deep * 255 / top, 0, 255).astype(np.uint8)
    low, high = (0.0, 1.0) if deep.min() >= 0 and deep.max() <= 1 else (deep.min(), deep.max())
    return np.clip((deep - low) * 255 / max(high - low, 1e-12), 0, 255).astype(np.uint8)
