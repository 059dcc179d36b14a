"""Random overlays as people lay them over pictures: names, logos, words across, tiles, captions, badges."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter, ImageFont

Bytes = NDArray[np.uint8]
Colour = tuple[int, int, int]
SOUNDS = "pix vid stock foto film media studio lab tv clip art sky nova red".split()  # noqa: SIM905
SAID = "the a we never again what you know it night house come on yes no where is my train".split()  # noqa: SIM905
LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"


@dataclass(frozen=True)
class Parts:
    """What overlays are made of."""

    fonts: list[Path]
    eastern: list[Path]  # fonts with Chinese or Japanese signs
    logos: list[Image.Image]  # RGBA


def parts(folder: Path) -> Parts:
    """Of a folder with `fonts/` (eastern ones are named cjk*) and `logos/`."""
    fonts = sorted((folder / "fonts").iterdir())
    eastern = [path for path in fonts if path.name.startswith("cjk")]
    logos = [Image.open(path).convert("RGBA") for path in sorted((folder / "logos").iterdir())]
    return Parts([path for path in fonts if path not in eastern], eastern, logos)


def overlay(dice: random.Random, size: tuple[int, int], made_of: Parts) -> tuple[str, Bytes]:
    """Its kind and its colours and opacity [H,W,4], for a picture of (width, height)."""
    kind = dice.choices(list(KINDS), [weight for weight, _ in KINDS.values()])[0]
    return kind, np.array(KINDS[kind][1](dice, size, made_of))


def _empty(size: tuple[int, int]) -> Image.Image:
    return Image.new("RGBA", size)


def _faded(layer: Image.Image, opacity: float) -> Image.Image:
    layer.putalpha(layer.getchannel("A").point(lambda value: round(value * opacity)))
    return layer


def _opacity(dice: random.Random, least: float = 0.15) -> float:
    return 1.0 if dice.random() < 0.2 else dice.uniform(least, 1)


def _colour(dice: random.Random) -> Colour:
    chance = dice.random()
    if chance < 0.6:
        return (255, 255, 255)
    if chance < 0.72:
        return (0, 0, 0)
    return (dice.randrange(256), dice.randrange(256), dice.randrange(256))


def _name(dice: random.Random, eastern: bool = False) -> str:
    if eastern:
        return "".join(chr(0x4E00 + 41 * dice.randrange(500)) for _ in range(dice.randint(2, 6)))
    word = "".join(dice.sample(SOUNDS, dice.choice((1, 2, 2))))
    if dice.random() < 0.3:
        word = "".join(dice.choice(LETTERS) for _ in range(dice.randint(3, 12)))
    word = dice.choice((word, word.title(), word.upper(), word.capitalize()))
    year = dice.randint(1995, 2026)
    return dice.choice(
        (
            word,
            word,
            word,
            f"© {word}",
            f"© {word} {year}",
            f"@{word}",
            f"{word}.com",
            f"www.{word}.net",
            f"{word} {dice.choice(('HD', 'TV', 'Studio', 'News', 'Photos', 'Pro'))}",
            f"{dice.choice('ABCDEFGHKLMRST')}. {word.capitalize()}",
            f"Photo by {word}",
            f"{year}-{dice.randint(1, 12):02}-{dice.randint(1, 28):02}",
            f"{dice.randint(0, 23):02}:{dice.randint(0, 59):02}:{dice.randint(0, 59):02}",
            dice.choice(("LIVE", "SAMPLE", "PREVIEW", "DEMO", "DRAFT", "CONFIDENTIAL", "COPYRIGHT", "REC")),
        )
    )


def _font(
    dice: random.Random, made_of: Parts, pixels: float, eastern: bool = False
) -> ImageFont.FreeTypeFont:
    path = dice.choice(made_of.eastern if eastern else made_of.fonts)
    return ImageFont.truetype(path, max(8, round(pixels)))


def _text(
    dice: random.Random, words: str, font: ImageFont.FreeTypeFont, colour: Colour, styled: float = 0.35
) -> Image.Image:
    """Words on a layer of their own size, by chance with an edge, a shadow or a box behind."""
    style = dice.choice(("edge", "shadow", "box")) if dice.random() < styled else ""
    edge = max(1, round(font.size * dice.uniform(0.03, 0.09))) if style == "edge" else 0
    left, top, right, bottom = ImageDraw.Draw(_empty((1, 1))).multiline_textbbox(
        (0, 0), words, font, stroke_width=edge
    )
    gap = round(font.size * dice.uniform(0.15, 0.5)) if style == "box" else 2 + round(font.size * 0.1)
    layer = _empty((max(2, round(right - left)) + 2 * gap, max(2, round(bottom - top)) + 2 * gap))
    pen, place = ImageDraw.Draw(layer), (gap - left, gap - top)
    other = (0, 0, 0) if sum(colour) > 300 else (255, 255, 255)
    if style == "box":
        box = (0, 0, layer.width - 1, layer.height - 1)
        pen.rounded_rectangle(box, dice.choice((0, gap)), fill=(*other, dice.randint(60, 255)))
    if style == "shadow":
        away = max(1, round(font.size * 0.06))
        pen.multiline_text((place[0] + away, place[1] + away), words, (*other, dice.randint(90, 255)), font)
        if dice.random() < 0.4:
            layer = layer.filter(ImageFilter.GaussianBlur(away))
            pen = ImageDraw.Draw(layer)
    pen.multiline_text(
        place, words, (*colour, 255), font, stroke_width=edge, stroke_fill=(*other, 255), align="center"
    )
    return layer


def _line(dice: random.Random, eastern: bool) -> str:
    if eastern:
        return _name(dice, True) + _name(dice, True)
    return " ".join(dice.choices(SAID, k=dice.randint(3, 8))).capitalize()


def _narrowed(small: Image.Image, width: int) -> Image.Image:
    return small.resize((width, max(8, round(small.height * width / small.width))))


def _cornered(dice: random.Random, size: tuple[int, int], small: Image.Image) -> Image.Image:
    """Mostly near a corner, sometimes at the middle of a border, seldom anywhere."""
    width, height = size
    gap_x, gap_y = (round(dice.uniform(0.008, 0.07) * min(size)) for _ in range(2))
    free_x, free_y = max(0, width - small.width), max(0, height - small.height)
    xs, ys = (min(gap_x, free_x), max(0, free_x - gap_x)), (min(gap_y, free_y), max(0, free_y - gap_y))
    chance = dice.random()
    x, y = dice.choice(xs), dice.choice(ys)
    if chance > 0.93:
        x, y = dice.randint(0, free_x), dice.randint(0, free_y)
    elif chance > 0.75:
        x, y = (free_x // 2, y) if dice.random() < 0.8 else (x, free_y // 2)
    layer = _empty(size)
    layer.paste(small, (x, y))
    return layer


def _named(dice: random.Random, size: tuple[int, int], made_of: Parts) -> Image.Image:
    eastern = dice.random() < 0.08
    font = _font(dice, made_of, min(size) * dice.uniform(0.025, 0.09), eastern)
    small = _text(dice, _name(dice, eastern), font, _colour(dice))
    if small.width > 0.9 * size[0]:
        small = _narrowed(small, round(0.6 * size[0]))
    if dice.random() < 0.05:
        small = small.rotate(dice.choice((90, 270)), expand=True)
    return _faded(_cornered(dice, size, small), _opacity(dice))


def _logo_small(dice: random.Random, side: float, made_of: Parts) -> Image.Image:
    """A logo of so many pixels in area's root, in its own colours, in grey or in one colour."""
    found = dice.choice(made_of.logos)
    scale = side / (found.width * found.height) ** 0.5
    found = found.resize(
        (max(6, round(found.width * scale)), max(6, round(found.height * scale))), Image.Resampling.LANCZOS
    )
    *colours, alpha = found.split()
    drawn = all(low == 255 for low, _ in (colour.getextrema() for colour in colours))
    chance = dice.random()
    if drawn or chance < 0.3:
        found = Image.new("RGBA", found.size, (*_colour(dice), 255))
    elif chance < 0.4:
        found = found.convert("L").convert("RGBA")
    found.putalpha(alpha)
    return found


def _logo(dice: random.Random, size: tuple[int, int], made_of: Parts) -> Image.Image:
    small = _logo_small(dice, min(size) * dice.uniform(0.06, 0.22), made_of)
    if dice.random() < 0.25:
        small = _beside(dice, small, made_of)
    return _faded(_cornered(dice, size, small), _opacity(dice, 0.25))


def _beside(dice: random.Random, small: Image.Image, made_of: Parts) -> Image.Image:
    """A logo with its name beside or below it."""
    font = _font(dice, made_of, small.height * dice.uniform(0.3, 0.7))
    words = _text(dice, _name(dice), font, _colour(dice))
    if dice.random() < 0.6:
        both = _empty((small.width + words.width, max(small.height, words.height)))
        both.paste(small, (0, (both.height - small.height) // 2))
        both.paste(words, (small.width, (both.height - words.height) // 2))
    else:
        both = _empty((max(small.width, words.width), small.height + words.height))
        both.paste(small, ((both.width - small.width) // 2, 0))
        both.paste(words, ((both.width - words.width) // 2, small.height))
    return both


def _badge(dice: random.Random, size: tuple[int, int], made_of: Parts) -> Image.Image:
    """A drawn sign: a disc, ring, square or triangle, mostly with letters in it."""
    side = max(12, round(min(size) * dice.uniform(0.06, 0.2)))
    small, box = _empty((4 * side, 4 * side)), (4, 4, 4 * side - 5, 4 * side - 5)
    pen, colour = ImageDraw.Draw(small), (*_colour(dice), 255)
    shape = dice.choice(("disc", "ring", "square", "frame", "play", "star"))
    line = max(2, round(side * dice.uniform(0.2, 0.5)))
    if shape == "disc":
        pen.ellipse(box, fill=colour)
    elif shape == "ring":
        pen.ellipse(box, outline=colour, width=line)
    elif shape == "square":
        pen.rounded_rectangle(box, dice.choice((0, side)), fill=colour)
    elif shape == "frame":
        pen.rectangle(box, outline=colour, width=line)
    else:
        corners = 3 if shape == "play" else 5
        turn = dice.uniform(0, 6.28)
        angles = turn + np.arange(corners) * (2 * np.pi * (1 if corners == 3 else 2) / corners)
        points = side * (2 + 1.9 * np.stack([np.cos(angles), np.sin(angles)], axis=1))
        pen.polygon([tuple(point) for point in points], fill=colour)
    if dice.random() < 0.2:
        _slit(dice, pen, 4 * side)
    elif shape not in ("play", "star") and dice.random() < 0.75:
        said = _colour(dice) if shape in ("ring", "frame") else tuple(255 - level for level in colour[:3])
        words = "".join(dice.choice(LETTERS) for _ in range(dice.randint(1, 3))).upper()
        font = _font(dice, made_of, side * dice.uniform(1, 2))
        pen.text((2 * side, 2 * side), words, (*said, 255), font, anchor="mm")
    small = small.resize((side, side), Image.Resampling.LANCZOS)
    if dice.random() < 0.3:
        small = _beside(dice, small, made_of)
    return _faded(_cornered(dice, size, small), _opacity(dice, 0.25))


def _slit(dice: random.Random, pen: ImageDraw.ImageDraw, side: int) -> None:
    """Cuts stripes out of a sign, straight or slanting."""
    lean, count = dice.choice((0, 0, side, -side, side // 2)), dice.randint(2, 5)
    for at in range(-side, 2 * side, max(8, side // count)):
        pen.line((at, 0, at + lean, side), fill=(0, 0, 0, 0), width=max(4, side // (3 * count)))


def _across(dice: random.Random, size: tuple[int, int], made_of: Parts) -> Image.Image:
    """A large word or logo about the middle, level or on a slant."""
    width, height = size
    if dice.random() < 0.2:
        small = _logo_small(dice, min(size) * dice.uniform(0.2, 0.6), made_of)
    else:
        words = _name(dice)
        font = _font(dice, made_of, width * min(0.2, dice.uniform(0.45, 0.95) * 1.9 / max(3, len(words))))
        small = _text(dice, words, font, _colour(dice), styled=0.15)
    if small.width > width:
        small = _narrowed(small, width)
    layer, y = _empty(size), round((height - small.height) * dice.uniform(0.35, 0.65))
    layer.paste(small, ((width - small.width) // 2, y))
    if dice.random() < 0.4:
        layer = layer.rotate(dice.choice((-1, 1)) * dice.uniform(10, 50), Image.Resampling.BICUBIC)
    return _faded(layer, dice.uniform(0.12, 0.75))


def _tiled(dice: random.Random, size: tuple[int, int], made_of: Parts) -> Image.Image:
    width, height = size
    if dice.random() < 0.35:
        small = _logo_small(dice, min(size) * dice.uniform(0.06, 0.15), made_of)
    else:
        font = _font(dice, made_of, min(size) * dice.uniform(0.03, 0.08))
        small = _text(dice, _name(dice), font, _colour(dice), styled=0.1)
    step_x, step_y = round(small.width * dice.uniform(1.1, 2.2)), round(small.height * dice.uniform(1.4, 5))
    side = round(1.25 * max(size))
    big, shift = _empty((side, side)), dice.choice((0, step_x // 2, step_x // 3))
    for row, y in enumerate(range(0, side, max(12, step_y))):
        for x in range(-(row % 2) * shift, side, max(12, step_x)):
            big.paste(small, (x, y))
    if dice.random() < 0.65:
        big = big.rotate(dice.uniform(-50, 50), Image.Resampling.BICUBIC)
    left, top = (side - width) // 2, (side - height) // 2
    return _faded(big.crop((left, top, left + width, top + height)), dice.uniform(0.12, 0.7))


def _caption(dice: random.Random, size: tuple[int, int], made_of: Parts) -> Image.Image:
    width, height = size
    eastern = dice.random() < 0.15
    lines = [_line(dice, eastern) for _ in range(dice.choice((1, 1, 2)))]
    font = _font(dice, made_of, height * dice.uniform(0.035, 0.075), eastern)
    colour = (255, 255, 255) if dice.random() < 0.7 else _colour(dice)
    small = _text(dice, "\n".join(lines), font, colour, styled=0.8)
    if small.width > 0.95 * width:
        small = _narrowed(small, round(0.9 * width))
    layer, y = _empty(size), dice.choice((0.08, 0.88, 0.9, 0.93))
    layer.paste(small, ((width - small.width) // 2, round(height * y - small.height / 2)))
    return layer


Maker = Callable[[random.Random, tuple[int, int], Parts], Image.Image]
KINDS: dict[str, tuple[float, Maker]] = {
    "name": (0.26, _named),
    "logo": (0.36, _logo),
    "badge": (0.15, _badge),
    "across": (0.15, _across),
    "tiled": (0.05, _tiled),
    "caption": (0.03, _caption),
}
