"""What a network is shown: a picture, or a clip's mean frame and change of each pixel, overlaid or not."""

from __future__ import annotations

import io
import random
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tests.benchmarks.marks.draw import Parts, overlay

Floats = NDArray[np.float32]
CELL = 8  # pixels a side: of what the network marks
VISIBLE = 4.0  # grey levels: an overlay that changes a picture less than this is not there
FRAMES = 12


@dataclass(frozen=True)
class Example:
    """One example, all for a picture of [H,W] pixels."""

    mean: Floats  # grey levels
    change: Floats  # deviation over time, grey levels; 0 of a photograph
    marked: Floats  # [H/8,W/8]: 1 where overlaid, 0 where not, -1 where it cannot be told
    kind: str  # of the overlay; "" without


def example(
    dice: random.Random, pictures: list[Image.Image], made_of: Parts, size: tuple[int, int]
) -> Example:
    """An example of (width, height) pixels, overlaid or not."""
    # Overlays must not be sharper than pictures: most are drawn where the pictures have all their pixels.
    small = _scaled(size, dice.uniform(0.42, 0.75) if dice.random() < 0.75 else dice.uniform(0.75, 1))
    moves = dice.choices(("photograph", "still", "moving"), (0.5, 0.2, 0.3))[0]
    mean, change = MAKERS[moves](dice, pictures, small)
    kind, marked = "", np.zeros((size[1] // CELL, size[0] // CELL), np.float32)
    if dice.random() < 0.5:
        kind, alpha, grey = overlay(dice, small, made_of)
        difference = alpha * (grey - mean)
        if not _seen(alpha, difference):
            kind = ""
        else:
            share = 1.0 if moves == "photograph" or dice.random() < 0.85 else dice.uniform(0.5, 0.95)
            mean = mean + share * difference
            change = change * (1 - share * alpha) + (share * (1 - share)) ** 0.5 * np.abs(difference)
            marked = _cells(alpha, difference, size)
    if moves != "moving":
        mean = _compressed(dice, mean)
    elif dice.random() < 0.5:
        mean = _noisy(dice, mean, 0, 1.5)
    if small != size:
        mean, change = _resized(mean, size), _resized(change, size)
    return Example(np.clip(mean, 0, 255).astype(np.float32), change.astype(np.float32), marked, kind)


def _seen(alpha: Floats, difference: Floats) -> bool:
    """Whether an overlay changes the picture so much that it could be found."""
    there = alpha > 0.5 * float(alpha.max())
    return bool(there.any()) and float(np.abs(difference)[there].mean()) >= VISIBLE


def _scaled(size: tuple[int, int], scale: float) -> tuple[int, int]:
    return round(size[0] * scale), round(size[1] * scale)


def _resized(grey: Floats, size: tuple[int, int]) -> Floats:
    return np.asarray(Image.fromarray(grey.astype(np.float32)).resize(size, Image.Resampling.BILINEAR))


def _cells(alpha: Floats, difference: Floats, size: tuple[int, int]) -> Floats:
    """Which cells are overlaid: -1 where the overlay can hardly be seen."""
    seen = _most(np.abs(difference), size)
    there = _most(alpha, size) > 0.3 * float(alpha.max())
    return np.where(there, np.where(seen >= VISIBLE, 1, -1), np.where(seen > 1, -1, 0)).astype(np.float32)


def _most(values: Floats, size: tuple[int, int]) -> Floats:
    """The largest value of each cell."""
    if values.shape != (size[1], size[0]):
        values = np.asarray(Image.fromarray(values).resize(size, Image.Resampling.NEAREST))
    rows = values.reshape(size[1] // CELL, CELL, size[0]).max(axis=1)
    return rows.reshape(size[1] // CELL, size[0] // CELL, CELL).max(axis=2)


def _cut(dice: random.Random, pictures: list[Image.Image], size: tuple[int, int]) -> Floats:
    """A random part of a random picture, in this size, a little lighter or darker."""
    picture = dice.choice(pictures)
    share = dice.uniform(0.65, 1)
    aspect = size[0] / size[1] * dice.uniform(0.8, 1.25)
    height = share * min(picture.height, picture.width / aspect)
    width = height * aspect
    left, top = dice.uniform(0, picture.width - width), dice.uniform(0, picture.height - height)
    part = picture.resize(size, Image.Resampling.BICUBIC, (left, top, left + width, top + height))
    grey = np.asarray(part, np.float32)
    if dice.random() < 0.5:
        grey = grey[:, ::-1]
    if dice.random() < 0.5:
        grey = 255 * (np.clip(grey, 0, 255) / 255) ** dice.uniform(0.6, 1.6)
    return _barred(dice, grey) if dice.random() < 0.08 else grey


def _barred(dice: random.Random, grey: Floats) -> Floats:
    """With the bars or the frame of another shape of picture."""
    barred, level = grey.copy(), dice.choice((0, 0, 0, 16, 255))
    high, wide = (round(dice.uniform(0.03, 0.14) * side) for side in grey.shape)
    where = dice.choice(("lying", "standing", "around"))
    if where != "standing":
        barred[:high] = barred[-high:] = level
    if where != "lying":
        barred[:, :wide] = barred[:, -wide:] = level
    return barred


def _photograph(
    dice: random.Random, pictures: list[Image.Image], size: tuple[int, int]
) -> tuple[Floats, Floats]:
    """A picture that has no time to change in."""
    mean = _cut(dice, pictures, size)
    return mean, np.zeros_like(mean)


def _still(dice: random.Random, pictures: list[Image.Image], size: tuple[int, int]) -> tuple[Floats, Floats]:
    """A still camera before something that may move in a part of the picture."""
    mean = _cut(dice, pictures, size)
    change = np.full_like(mean, dice.uniform(0.2, 2.5))
    if dice.random() < 0.6:
        other, spread = _moving(dice, pictures, size)
        there = _blob(dice, size)
        mean, change = mean * (1 - there) + other * there, change * (1 - there) + spread * there
    return mean, change


def _blob(dice: random.Random, size: tuple[int, int]) -> Floats:
    """A smooth patch, 0 to 1."""
    rows, columns = np.mgrid[: size[1], : size[0]].astype(np.float32)
    high, wide = (dice.uniform(0.08, 0.4) * side for side in (size[1], size[0]))
    y, x = dice.uniform(0, size[1]), dice.uniform(0, size[0])
    away = ((rows - y) / high) ** 2 + ((columns - x) / wide) ** 2
    return (1 / (1 + np.exp(np.clip(6 * (away - 1), -30, 30)))).astype(np.float32)


def _moving(dice: random.Random, pictures: list[Image.Image], size: tuple[int, int]) -> tuple[Floats, Floats]:
    """Mean and deviation of a camera that moves over one picture, or over some after one another."""
    shots = dice.choice((1, 1, 1, 2, 3))
    total, squares = np.zeros((2, size[1], size[0]), np.float32)
    reach = dice.uniform(0.02, 0.6) ** 1.5
    wide, high = round(size[0] * (1 + reach)), round(size[1] * (1 + reach))
    for _ in range(shots):
        large = _cut(dice, pictures, (wide, high))
        ends = [(dice.uniform(0, wide - size[0]), dice.uniform(0, high - size[1])) for _ in range(2)]
        for at in np.linspace(0, 1, FRAMES // shots):
            x, y = (round(first * (1 - at) + last * at) for first, last in zip(*ends, strict=True))
            frame = large[y : y + size[1], x : x + size[0]]
            total += frame
            squares += frame * frame
    count = FRAMES // shots * shots
    mean = total / count
    change = np.sqrt(np.maximum(squares / count - mean * mean, 0)) + dice.uniform(0.2, 2.5)
    return mean, change.astype(np.float32)


def _noisy(dice: random.Random, grey: Floats, least: float, most: float) -> Floats:
    noise = np.random.default_rng(dice.randrange(1 << 30)).normal(0, dice.uniform(least, most), grey.shape)
    return (grey + noise).astype(np.float32)


def _compressed(dice: random.Random, grey: Floats) -> Floats:
    """As JPEG gives it back; noise before it by chance."""
    if dice.random() < 0.15:
        grey = _noisy(dice, grey, 1, 8)
    held = io.BytesIO()
    Image.fromarray(np.clip(grey, 0, 255).astype(np.uint8)).save(held, "JPEG", quality=dice.randint(45, 96))
    return np.asarray(Image.open(held), np.float32)


MAKERS = {"photograph": _photograph, "still": _still, "moving": _moving}
