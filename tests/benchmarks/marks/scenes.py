"""What a network is shown, made where it is trained: pictures, or clips' mean frames and pixels' change."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

SIDE = 512  # pixels: the longest side of a picture
CELL = 8  # pixels a side: of what the network marks
VISIBLE = 4.0  # grey levels: an overlay that changes a picture less than this is not there
FRAMES = 12
SHOTS = 3
LUMA = (0.299, 0.587, 0.114)
TO_COLOUR = (*LUMA, -0.168736, -0.331264, 0.5, 0.5, -0.418688, -0.081312)
FROM_COLOUR = (1.0, 0.0, 1.402, 1.0, -0.344136, -0.714136, 1.0, 1.772, 0.0)
PHOTOGRAPH, STILL, MOVING = range(3)
MEDIA = (0.6, 0.15, 0.25)  # the share of each
BARRED = 0.08  # of all


@dataclass(frozen=True)
class Scenes:
    """Scenes of [H,W] pixels."""

    mean: Tensor  # [B,3,H,W], 0 to 255
    change: Tensor  # [B,1,H,W]: deviation of the grey level over time; 0 of a photograph
    medium: Tensor  # [B]: PHOTOGRAPH, STILL or MOVING


@dataclass(frozen=True)
class Pictures:
    """Pictures in squares of their own, continued beyond their borders."""

    values: Tensor  # [N,3,SIDE,SIDE] bytes
    sides: Tensor  # [N,2]: width and height in pixels

    @classmethod
    def opened(cls, folder: Path, device: str) -> Pictures:
        """All of a folder, made smaller than SIDE where they are larger."""
        values, sides = [], []
        for path in sorted(folder.iterdir()):
            picture = Image.open(path).convert("RGB")
            picture.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
            room = ((0, SIDE - picture.height), (0, SIDE - picture.width), (0, 0))
            values.append(np.pad(np.asarray(picture), room, "edge").transpose(2, 0, 1))
            sides.append(picture.size)
        return cls(torch.from_numpy(np.stack(values)).to(device), torch.tensor(sides, device=device).float())

    def scenes(self, count: int, size: tuple[int, int]) -> Scenes:
        """So many of (width, height) pixels: photographs and what still or moving cameras saw."""
        device = self.values.device
        medium = torch.multinomial(_held(MEDIA, device), count, replacement=True)
        clips = (medium != PHOTOGRAPH).nonzero()[:, 0]
        mean = _toned(_sharpened(self._shown(_cut(self, count, size), size, sharp=True)))
        change = mean.new_zeros(count, 1, *mean.shape[2:])
        moved, spread = self._moving(len(clips), size)
        blob = _blobs(len(clips), moved) * (_uniform(moved, len(clips)) < 0.6)
        blob = torch.where(_to_pixels(medium[clips] == MOVING), torch.ones_like(blob), blob)
        mean[clips] = mean[clips] * (1 - blob) + moved * blob
        jitter = _uniform(mean, len(clips), 0, 0.06) * _edges(mean[clips])
        change[clips] = (spread * blob).hypot(jitter) + _uniform(mean, len(clips), 0.2, 2.5)
        return Scenes(_barred(mean), change, medium)

    def _moving(self, count: int, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
        """Mean and deviation of a camera that moves over one picture, or over some after one another."""
        device = self.values.device
        reach = 1 + _uniform(self.sides, count, 0.02, 0.6).flatten() ** 1.5
        cuts = zip(*(_cut(self, count, size) for _ in range(SHOTS)), strict=True)
        indices, centres, halves = (torch.stack(kind) for kind in cuts)
        paths = torch.rand(SHOTS, 2, count, 2, device=device) * 2 - 1
        zoom = torch.where(torch.rand(count, device=device) < 0.4, 0.75 + 0.25 * torch.rand_like(reach), 1)
        shots = _held((1, 1, 1, 2, 3), device)[torch.randint(5, (count,), device=device)]
        total = squares = torch.zeros((), device=device)
        each = torch.arange(count)
        for frame in range(FRAMES):
            at, shot = frame / (FRAMES - 1), frame * shots // FRAMES
            index, centre, half = (kind[shot, each] for kind in (indices, centres, halves))
            ends = paths[shot, :, each]
            window = half / reach[:, None] * (1 + at * (zoom - 1))[:, None]
            where = ends[:, 0] * (1 - at) + ends[:, 1] * at
            moved = centre + (half.abs() - window.abs()) * where
            shown = self._shown((index, moved, window), size, sharp=False)
            total, squares = total + shown, squares + _grey(shown) ** 2
        mean = total / FRAMES
        return mean, (squares / FRAMES - _grey(mean) ** 2).clamp(min=0).sqrt()

    def _shown(self, cut: Cut, size: tuple[int, int], sharp: bool) -> Tensor:
        """[B,3,H,W] the parts of pictures; `sharp`: by way of as many pixels as there are."""
        index, centre, half = cut
        scale = max(1.0, 1.25 * SIDE / max(size)) if sharp else 1.0
        across, down = (round(side * scale) for side in size)
        places = []
        for axis, pixels in enumerate((across, down)):
            steps = (torch.arange(pixels, device=half.device) + 0.5) * 2 / pixels - 1
            places.append((centre[:, axis, None] + half[:, axis, None] * steps) * 2 / SIDE - 1)
        grid = torch.stack(
            (
                places[0][:, None].expand(-1, down, -1),
                places[1][:, :, None].expand(-1, -1, across),
            ),
            dim=3,
        )
        shown = F.grid_sample(
            self.values[index].float(),
            grid,
            mode="bicubic" if sharp else "bilinear",
            padding_mode="border",
            align_corners=False,
        )
        if scale > 1:
            shown = F.interpolate(shown, (size[1], size[0]), mode="bilinear", antialias=True)
        return shown.clamp(0, 255)


Cut = tuple[Tensor, Tensor, Tensor]  # which picture, and in its pixels the middle and half of the sides [B,2]


def _cut(pictures: Pictures, count: int, size: tuple[int, int]) -> Cut:
    """Random parts of random pictures, mirrored by chance, a little wider or narrower than they are."""
    index = torch.randint(len(pictures.sides), (count,), device=pictures.sides.device)
    sides = pictures.sides[index]
    dice = torch.rand(5, count, device=sides.device)
    aspect = size[0] / size[1] * (0.8 + 0.45 * dice[0])
    high = (0.65 + 0.35 * dice[1]) * torch.minimum(sides[:, 1], sides[:, 0] / aspect)
    half = torch.stack((high * aspect, high), dim=1) / 2
    centre = half + (sides - 2 * half) * dice[2:4].T
    half[:, 0] *= torch.where(dice[4] < 0.5, 1.0, -1.0)
    return index, centre, half


def _uniform(like: Tensor, count: int, low: float = 0, high: float = 1) -> Tensor:
    """[count,1,1,1] random numbers."""
    return torch.rand(count, 1, 1, 1, device=like.device) * (high - low) + low


@cache
def _held(values: tuple[float, ...], device: torch.device) -> Tensor:
    """Copied there once: each copy waits for all that the device still has to do."""
    return torch.tensor(values, device=device)


def _grey(pictures: Tensor) -> Tensor:
    """[B,1,H,W] grey levels."""
    return (pictures * _held(LUMA, pictures.device)[:, None, None]).sum(dim=1, keepdim=True)


def _to_pixels(values: Tensor) -> Tensor:
    return values[:, None, None, None]


def _sharpened(pictures: Tensor) -> Tensor:
    """Half of them more or less, for else only what is laid over them were sharp."""
    count = len(pictures)
    amount = torch.where(_uniform(pictures, count) < 0.5, _uniform(pictures, count, 0, 1.5), 0.0)
    blurred = F.avg_pool2d(F.pad(pictures, (1, 1, 1, 1), "reflect"), 3, 1)
    return (pictures + amount * (pictures - blurred)).clamp(0, 255)


def _toned(pictures: Tensor) -> Tensor:
    """Lighter or darker, more or less colourful, some without colours."""
    count = len(pictures)
    gamma = torch.where(_uniform(pictures, count) < 0.5, _uniform(pictures, count, 0.6, 1.6), 1.0)
    toned = 255 * (pictures / 255) ** gamma
    grey = _grey(toned)
    colourful = torch.where(_uniform(pictures, count) < 0.15, 0.0, _uniform(pictures, count, 0.5, 1.3))
    tint = torch.rand(count, 3, 1, 1, device=pictures.device) * 0.16 + 0.92
    return ((grey + (toned - grey) * colourful) * tint).clamp(0, 255)


def _blobs(count: int, like: Tensor) -> Tensor:
    """[count,1,H,W] smooth patches, 0 to 1."""
    rows = torch.linspace(0, 1, like.shape[2], device=like.device)[:, None]
    columns = torch.linspace(0, 1, like.shape[3], device=like.device)
    high, wide = _uniform(like, count, 0.08, 0.4), _uniform(like, count, 0.08, 0.4)
    away = ((rows - _uniform(like, count)) / high) ** 2 + ((columns - _uniform(like, count)) / wide) ** 2
    return torch.sigmoid(-6 * (away - 1))


def _edges(pictures: Tensor) -> Tensor:
    """[B,1,H,W] how steep the grey level is."""
    grey = _grey(pictures)
    across = F.pad(grey.diff(dim=3), (0, 1))
    return across.hypot(F.pad(grey.diff(dim=2), (0, 0, 0, 1)))


def _barred(pictures: Tensor) -> Tensor:
    """Some with the bars or the frame of another shape of picture."""
    dice = np.random.default_rng(int(torch.randint(1 << 30, ())))
    for at in np.flatnonzero(dice.random(len(pictures)) < BARRED):
        level = float(dice.choice((0, 0, 0, 16, 255)))
        high, wide = (round(dice.uniform(0.03, 0.14) * side) for side in pictures.shape[2:])
        where = dice.choice(("lying", "standing", "around"))
        if where != "standing":
            pictures[at, :, :high] = pictures[at, :, -high:] = level
        if where != "lying":
            pictures[at, :, :, :wide] = pictures[at, :, :, -wide:] = level
    return pictures


@dataclass(frozen=True)
class Examples:
    """What the network takes and should say."""

    mean: Tensor  # [B,3,H,W]
    change: Tensor  # [B,1,H,W]
    marked: Tensor  # [B,H/8,W/8]: 1 where overlaid, 0 where not, -1 where it cannot be told
    overlaid: Tensor  # [B]: whether there is anything to find


def examples(scenes: Scenes, layers: Tensor, wanted: Tensor, size: tuple[int, int]) -> Examples:
    """Scenes with layers ([B,4,H,W], 0 to 255) over those `wanted` ([B]), enlarged to (width, height)."""
    mean, change, photograph = scenes.mean, scenes.change, _to_pixels(scenes.medium == PHOTOGRAPH)
    count = len(mean)
    fainter = torch.where(_uniform(mean, count) < 0.5, _uniform(mean, count, 0.5, 1), 1.0)
    alpha = layers[:, 3:] / 255 * fainter * _to_pixels(wanted)
    difference = alpha * (layers[:, :3] - mean)
    seen = difference.abs().mean(dim=1, keepdim=True)
    alpha, seen = (part * _to_pixels(_visible(alpha, seen)) for part in (alpha, seen))
    whole = photograph | (_uniform(mean, count) < 0.85)
    share = torch.where(whole, 1.0, _uniform(mean, count, 0.5, 0.95))
    mean = mean + share * alpha * (layers[:, :3] - mean)
    change = change * (1 - share * alpha) + (share * (1 - share)).sqrt() * seen
    noise = torch.where(_uniform(mean, count) < 0.15, _uniform(mean, count, 1, 8), 0.0) * photograph
    noise = noise + 1.5 * _uniform(mean, count) * (_uniform(mean, count) < 0.5) * ~photograph
    mean = mean + noise * torch.randn_like(mean)
    moving = _to_pixels(scenes.medium == MOVING)
    mean = torch.where(moving, mean, compressed(mean, _uniform(mean, count, 45, 96))).clamp(0, 255)
    marked = _cells(alpha, seen, size)
    shape = (size[1], size[0])
    if mean.shape[2:] != shape:
        mean, change = (F.interpolate(part, shape, mode="bilinear") for part in (mean, change))
    return Examples(mean, change, marked, alpha.flatten(1).amax(dim=1) > 0)


def _visible(alpha: Tensor, seen: Tensor) -> Tensor:
    """[B] whether an overlay changes the picture so much that it could be found."""
    there = (alpha > 0.5 * alpha.amax(dim=(2, 3), keepdim=True)).float()
    return (seen * there).sum(dim=(1, 2, 3)) >= VISIBLE * there.sum(dim=(1, 2, 3)).clamp(min=1)


def _cells(alpha: Tensor, seen: Tensor, size: tuple[int, int]) -> Tensor:
    """Which cells are overlaid: -1 where the overlay can hardly be seen."""
    most = [F.max_pool2d(F.interpolate(part, (size[1], size[0])), CELL)[:, 0] for part in (alpha, seen)]
    there = most[0] > (0.3 * alpha.amax(dim=(2, 3))).clamp(min=1e-6)[..., None]
    marked = torch.where(most[1] > 1, -1.0, 0.0)
    return torch.where(there, torch.where(most[1] >= VISIBLE, 1.0, -1.0), marked)


# The tables of quantisation in annex K of the JPEG standard (ITU-T T.81).
_LIGHT = (
    "16 11 10 16 24 40 51 61 12 12 14 19 26 58 60 55 14 13 16 24 40 57 69 56 14 17 22 29 51 87 80 62 "
    "18 22 37 56 68 109 103 77 24 35 55 64 81 104 113 92 49 64 78 87 103 121 120 101 "
    "72 92 95 98 112 100 103 99"
)
_COLOUR = (
    "17 18 24 47 99 99 99 99 18 21 26 66 99 99 99 99 24 26 56 99 99 99 99 99 "
    "47 66 99 99 99 99 99 99 " + "99 " * 32
)


def compressed(pictures: Tensor, quality: Tensor) -> Tensor:
    """[B,3,H,W] as JPEG gives them back, colours at half the size; sides are multiples of 16."""
    to_colour, back = (_held(values, pictures.device).view(3, 3) for values in (TO_COLOUR, FROM_COLOUR))
    light, colours = torch.einsum("ij,bjhw->bihw", to_colour, pictures).split((1, 2), dim=1)
    scale = torch.where(quality < 50, 5000 / quality, 200 - 2 * quality) / 100
    light = _quantised(light - 128, _LIGHT, scale) + 128
    colours = F.interpolate(_quantised(F.avg_pool2d(colours, 2), _COLOUR, scale), scale_factor=2)
    return torch.einsum("ij,bjhw->bihw", back, torch.cat((light, colours), dim=1))


@cache
def _cosines(device: torch.device) -> Tensor:
    """[64,64]: the cosine transform of a block of 8 by 8."""
    angle = torch.arange(8, device=device)
    basis = torch.cos((2 * angle + 1) * angle[:, None] * math.pi / 16) / 2
    basis[0] /= math.sqrt(2)
    return torch.kron(basis, basis)


def _quantised(planes: Tensor, table: str, scale: Tensor) -> Tensor:
    """Blocks of 8 by 8 through the cosine transform, rounded to steps, and back."""
    steps = _held(tuple(map(float, table.split())), planes.device)
    both = _cosines(planes.device)
    batch, channels, high, wide = planes.shape
    blocks = planes.view(batch, channels, high // 8, 8, wide // 8, 8).transpose(3, 4).flatten(4)
    steps = (steps * scale[..., None]).clamp(1, 255).round()
    blocks = ((blocks @ both.T / steps).round() * steps) @ both
    return blocks.unflatten(4, (8, 8)).transpose(3, 4).reshape(planes.shape)
