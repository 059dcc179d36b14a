"""Writing and signs on transparent layers, and layers on frames."""

from __future__ import annotations

import glob
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

FONT_FOLDERS = ["/usr/share/fonts"]  # searched for the names below; Pillow's own font stands in for none
CORNERS = ("top left", "top right", "bottom left", "bottom right")


def mark(side: int, random: Random) -> Image.Image:
    """A sign without writing, [side,side] RGBA."""
    large = layer(4 * side, 4 * side)
    draw, n = ImageDraw.Draw(large), 4 * side
    fill = random.choice(((255, 255, 255, 255), (230, 40, 40, 255), (255, 200, 0, 255), (30, 120, 230, 255)))
    white = (255, 255, 255, 255)
    kind = random.randrange(4)
    if kind == 0:
        draw.ellipse((0, 0, n - 1, n - 1), fill=fill)
        draw.polygon(((n * 0.38, n * 0.25), (n * 0.38, n * 0.75), (n * 0.78, n * 0.5)), fill=(0, 0, 0, 255))
    elif kind == 1:
        draw.rounded_rectangle((0, n * 0.2, n - 1, n * 0.8), n // 8, fill=fill)
        draw.polygon(((n * 0.4, n * 0.35), (n * 0.4, n * 0.65), (n * 0.65, n * 0.5)), fill=white)
    elif kind == 2:
        draw.ellipse((0, 0, n - 1, n - 1), outline=white, width=n // 10)
        draw.line((n * 0.2, n * 0.5, n * 0.8, n * 0.5), fill=white, width=n // 10)
        draw.line((n * 0.5, n * 0.2, n * 0.5, n * 0.8), fill=white, width=n // 10)
    else:
        points = [
            (n / 2 + n / 2 * r * np.sin(a), n / 2 - n / 2 * r * np.cos(a))
            for i in range(10)
            for r, a in [((1, 0.45)[i % 2], i * np.pi / 5)]
        ]
        draw.polygon(points, fill=fill)
    return large.resize((side, side), Image.Resampling.LANCZOS)


def corner_text(
    layer: Image.Image, text: str, font: Any, corner: str, colour: Any, stroke: int, random: Random
) -> None:
    """Draw writing into a corner of a layer."""
    draw = ImageDraw.Draw(layer)
    left, top, right, bottom = draw.textbbox((0, 0), text, font, stroke_width=stroke)
    x, y = in_corner(corner, round(right - left), round(bottom - top), *layer.size, random)
    draw.text((x - left, y - top), text, colour, font, stroke_width=stroke, stroke_fill=(0, 0, 0, 255))


def in_corner(corner: str, wide: int, high: int, width: int, height: int, random: Random) -> tuple[int, int]:
    """Left and top of something that wide and high in a corner, off the border by 1.5 to 7%."""
    gap = round(random.uniform(0.015, 0.07) * min(width, height))
    x = gap if "left" in corner else width - gap - wide
    return x, gap if "top" in corner else height - gap - high


def strip(text: str, font: Any, colour: Any) -> Image.Image:
    """A line of writing, cut close."""
    _, top, right, bottom = font.getbbox(text)
    strip = layer(round(right) + 8, round(bottom - top))
    ImageDraw.Draw(strip).text((0, -top), text, colour, font)
    return strip


def layer(width: int, height: int) -> Image.Image:
    """Nothing, to draw on."""
    return Image.new("RGBA", (width, height))


def over(frame: NDArray[np.uint8], layer: Image.Image) -> NDArray[np.uint8]:
    """A frame under a layer."""
    box = layer.getbbox()
    if box is None:
        return frame
    part = layer.crop(box)
    result = frame.copy()
    under = Image.fromarray(frame[box[1] : box[3], box[0] : box[2]])
    under.paste(part, (0, 0), part)
    result[box[1] : box[3], box[0] : box[2]] = np.asarray(under)
    return result


@cache
def files(names: Sequence[str]) -> dict[str, str]:
    """The installed fonts of these names."""
    found = {
        Path(p).stem: p for folder in FONT_FOLDERS for p in glob.glob(f"{folder}/**/*.tt[fc]", recursive=True)
    }
    return {name: found[name] for name in names if name in found}


@cache
def font(name: str, size: int) -> Any:
    """A font, or Pillow's own."""
    there = files((name,))
    return ImageFont.truetype(there[name], size) if there else ImageFont.load_default(size)
