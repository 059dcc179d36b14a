"""Overlays planted on real frames, so that it is known what a filter has to find.

Each plant takes RGB frames of one size, their rate and a random generator, and gives new frames.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from . import drawn

Pictures = list[NDArray[np.uint8]]
Plant = Callable[[Pictures, float, Random], Pictures]

LATIN = ("DejaVuSans-Bold", "DejaVuSans", "DejaVuSerif", "LiberationSans-Regular", "NotoSans-Bold")
EAST = ("NotoSansCJK-Bold", "NotoSansCJK-Regular")
LINES = (
    "I told you not to come here again.",
    "Where were you last night?",
    "We have to leave before the rain starts",
    "Nothing will ever be the same.",
    "¿Por qué no me lo dijiste antes?",
    "Je ne sais pas ce qu'il veut dire.",
    "Ich habe den Schlüssel im Auto vergessen",
    "Он больше никогда не вернётся домой",
    "Yes!",
)
EASTERN = (
    "我从来没有见过这样的地方",
    "如果明天下雨我们就不去了",
    "どうしてここに来たんですか",
    "오늘은 정말 좋은 날이에요",
)
NAMES = ("Anna Berg", "Director of Photography", "Luis Moreno", "Sound Mixer", "Chen Wei", "Costume Design")
NEWS = "BREAKING: storm warning issued for the northern coast  •  markets close higher after a week  •  "
CHANNELS = ("CHANNEL 5", "ClipBank", "@travel.anna", "StockFilm", "NEWS24", "www.example.com")


def subtitle(
    frames: Pictures, fps: float, random: Random, colour: str = "white", boxed: bool = False
) -> Pictures:
    """Lines in the lower band, each on the screen for a while, with pauses between them."""
    height, width = frames[0].shape[:2]
    eastern = random.random() < 0.3 and bool(drawn.files(EAST))
    font = drawn.font(random.choice(EAST if eastern else LATIN), round(height * random.uniform(0.045, 0.065)))
    texts, at = random.sample(EASTERN if eastern else LINES, 4), 0
    result: Pictures = list(frames)
    first = round(random.uniform(0, 0.15) * len(frames))
    shown = max(len(frames) * 2 // 5, round(random.uniform(1.5, 3.0) * fps))
    while first < len(frames):
        layer = drawn.layer(width, height)
        draw = ImageDraw.Draw(layer)
        place = (width // 2, round(height * random.choice((0.88, 0.9, 0.92))))
        fill = {"white": (255, 255, 255, 255), "yellow": (255, 235, 40, 255)}[colour]
        if boxed:
            left, top, right, bottom = draw.textbbox(place, texts[at % 4], font, anchor="mm")
            draw.rectangle((left - 8, top - 4, right + 8, bottom + 4), fill=(0, 0, 0, 190))
        draw.text(
            place,
            texts[at % 4],
            fill,
            font,
            anchor="mm",
            stroke_width=0 if boxed else max(1, height // 240),
            stroke_fill=(0, 0, 0, 255),
        )
        for index in range(first, min(len(frames), first + shown)):
            result[index] = drawn.over(frames[index], layer)
        first, at = first + shown + round(random.uniform(0, 0.8) * fps), at + 1
    return result


def timestamp(frames: Pictures, fps: float, random: Random) -> Pictures:
    """A camera's clock in a corner."""
    height, width = frames[0].shape[:2]
    font = drawn.font(random.choice(LATIN), max(10, round(height * random.uniform(0.035, 0.05))))
    corner = random.choice(drawn.CORNERS)
    second, result = random.randrange(50), []
    for index, frame in enumerate(frames):
        layer = drawn.layer(width, height)
        text = f"2024-05-17 13:45:{second + int(index / fps):02d}"
        drawn.corner_text(layer, text, font, corner, (255, 255, 255, 255), 1, Random(second))
        result.append(drawn.over(frame, layer))
    return result


def ticker(frames: Pictures, fps: float, random: Random) -> Pictures:
    """News that run from right to left on a bar."""
    height, width = frames[0].shape[:2]
    font = drawn.font(random.choice(LATIN), max(10, round(height * random.uniform(0.04, 0.055))))
    strip = drawn.strip(NEWS, font, (255, 255, 255, 255))
    speed = width * random.uniform(0.1, 0.3) / fps
    bar = round(height * 0.075)
    bottom = height - round(height * random.choice((0.0, 0.02, 0.05)))
    colour = random.choice(((160, 0, 0, 255), (10, 20, 90, 255), (0, 0, 0, 160)))
    result = []
    for index, frame in enumerate(frames):
        layer = drawn.layer(width, height)
        ImageDraw.Draw(layer).rectangle((0, bottom - bar, width, bottom), fill=colour)
        first = -round(speed * index + width * 0.2)
        for offset in range(first, width, strip.width):
            layer.alpha_composite(
                strip.crop((max(0, -offset), 0, min(strip.width, width - offset), strip.height)),
                (max(0, offset), bottom - bar + (bar - strip.height) // 2),
            ) if offset + strip.width > 0 else None
        result.append(drawn.over(frame, layer))
    return result


def credits(frames: Pictures, fps: float, random: Random) -> Pictures:
    """Names that roll upwards over the picture."""
    height, width = frames[0].shape[:2]
    size = max(10, round(height * random.uniform(0.045, 0.06)))
    font = drawn.font(random.choice(LATIN), size)
    speed = height * random.uniform(0.08, 0.2) / fps
    result = []
    for index, frame in enumerate(frames):
        layer = drawn.layer(width, height)
        draw = ImageDraw.Draw(layer)
        for line in range(30):
            y = round(height * 0.5 + line * size * 1.7 - speed * index)
            if -size < y < height + size:
                draw.text(
                    (width // 2, y),
                    NAMES[line % len(NAMES)],
                    (255, 255, 255, 255),
                    font,
                    anchor="mm",
                    stroke_width=1,
                    stroke_fill=(0, 0, 0, 200),
                )
        result.append(drawn.over(frame, layer))
    return result


def title(frames: Pictures, fps: float, random: Random) -> Pictures:
    """Large words in the middle, all the time."""
    height, width = frames[0].shape[:2]
    layer = drawn.layer(width, height)
    font = drawn.font(random.choice(LATIN), round(width * 0.075))
    words = random.choice(("THE LONG WAY HOME", "SUMMER SALE 50%", "Chapter Two: Rain"))
    ImageDraw.Draw(layer).text(
        (width // 2, round(height * random.uniform(0.3, 0.6))),
        words,
        (255, 255, 255, 255),
        font,
        anchor="mm",
        stroke_width=2,
        stroke_fill=(0, 0, 0, 255),
    )
    return [drawn.over(frame, layer) for frame in frames]


def logo(frames: Pictures, fps: float, random: Random, alpha: float = 1.0) -> Pictures:
    """A station's sign without writing, in a corner."""
    height, width = frames[0].shape[:2]
    side = round(min(height, width) * random.uniform(0.09, 0.18))
    mark = drawn.mark(side, random)
    mark.putalpha(mark.getchannel("A").point(lambda value: round(value * alpha)))
    layer = drawn.layer(width, height)
    x, y = drawn.in_corner(random.choice(drawn.CORNERS), side, side, width, height, random)
    layer.alpha_composite(mark, (x, y))
    return [drawn.over(frame, layer) for frame in frames]


def name_in_corner(frames: Pictures, fps: float, random: Random, alpha: float = 1.0) -> Pictures:
    """A name in a corner."""
    height, width = frames[0].shape[:2]
    layer = drawn.layer(width, height)
    font = drawn.font(random.choice(LATIN), max(10, round(min(width, height) * random.uniform(0.045, 0.065))))
    colour = (255, 255, 255, round(255 * alpha))
    drawn.corner_text(layer, random.choice(CHANNELS), font, random.choice(drawn.CORNERS), colour, 0, random)
    return [drawn.over(frame, layer) for frame in frames]


def preview(frames: Pictures, fps: float, random: Random, alpha: float = 0.35) -> Pictures:
    """A large word across the middle that lets the picture through."""
    height, width = frames[0].shape[:2]
    layer = drawn.layer(width, height)
    font = drawn.font(random.choice(LATIN[:2]), round(width * random.uniform(0.09, 0.13)))
    words = random.choice(("PREVIEW", "SAMPLE", "shutterstock", "ClipBank"))
    ImageDraw.Draw(layer).text(
        (width // 2, height // 2), words, (255, 255, 255, round(255 * alpha)), font, anchor="mm"
    )
    turned = layer.rotate(random.choice((0, 0, 20)), resample=Image.Resampling.BICUBIC)
    return [drawn.over(frame, turned) for frame in frames]


def tiled(frames: Pictures, fps: float, random: Random, alpha: float = 0.3) -> Pictures:
    """One name again and again across the picture."""
    height, width = frames[0].shape[:2]
    font = drawn.font(random.choice(LATIN), max(12, round(min(width, height) * random.uniform(0.04, 0.06))))
    text = random.choice(CHANNELS)
    large = drawn.layer(2 * width, 2 * height)
    draw = ImageDraw.Draw(large)
    across, down = round(draw.textlength(text, font) * 1.4), round(font.size * random.uniform(3, 5))
    for row, y in enumerate(range(0, 2 * height, down)):
        for x in range(-(row % 2) * across // 2, 2 * width, across):
            draw.text((x, y), text, (255, 255, 255, round(255 * alpha)), font)
    turned = large.rotate(random.choice((0, 30, 45)), resample=Image.Resampling.BICUBIC)
    layer = turned.crop((width // 2, height // 2, width // 2 + width, height // 2 + height))
    return [drawn.over(frame, layer) for frame in frames]


def with_settings(plant: Any, **settings: Any) -> Plant:
    """A plant with some of its settings fixed."""
    return lambda frames, fps, random: plant(frames, fps, random, **settings)


VIDEO_PLANTS: dict[str, tuple[Plant, tuple[str, ...]]] = {  # and the filters that should find it
    "subtitle_white": (subtitle, ("subtitles",)),
    "subtitle_yellow": (with_settings(subtitle, colour="yellow"), ("subtitles",)),
    "subtitle_boxed": (with_settings(subtitle, boxed=True), ("subtitles",)),
    "ticker": (ticker, ("subtitles",)),
    "credits": (credits, ("subtitles",)),
    "timestamp": (timestamp, ("subtitles", "watermark")),
    "title": (title, ("text_overlay", "subtitles", "watermark")),
    "logo": (logo, ("watermark",)),
    "logo_half": (with_settings(logo, alpha=0.5), ("watermark",)),
    "name": (name_in_corner, ("watermark",)),
    "name_half": (with_settings(name_in_corner, alpha=0.5), ("watermark",)),
    "preview": (preview, ("watermark",)),
    "tiled": (tiled, ("watermark",)),
}
IMAGE_PLANTS: dict[str, tuple[Plant, tuple[str, ...]]] = {
    "name": (name_in_corner, ("watermark",)),
    "name_half": (with_settings(name_in_corner, alpha=0.5), ("watermark",)),
    "preview": (preview, ("watermark",)),
    "tiled": (tiled, ("watermark",)),
    "title": (title, ("text_overlay", "watermark")),
    "logo": (logo, ("watermark",)),
}
