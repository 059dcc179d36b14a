"""What only watermarks say: names of picture agencies, addresses, the same again and again."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from difflib import get_close_matches

from curation.text.ocr import Line

AGENCIES = (
    "shutterstock",
    "gettyimages",
    "istock",
    "adobestock",
    "depositphotos",
    "dreamstime",
    "alamy",
    "123rf",
    "bigstock",
    "pond5",
    "storyblocks",
    "videohive",
    "envato",
    "freepik",
    "vecteezy",
    "canstock",
    "fotolia",
    "visualchinagroup",
    "tiktok",
    "youku",
)
WORDS = ("watermark", "sample", "preview", "unregistered", "stockfootage")
ADDRESS = re.compile(r"(?:www\.|https?:|©|\(c\)|[a-z0-9]\.(?:com|net|org|tv|cn|io)\b|^@[a-z0-9_.]{3,}$)")
LEAST = 4  # characters of a name that repeats
ALIKE = 0.85  # share of characters that a misread word has in common with the right one


def stock_words(lines: Iterable[Line]) -> int:
    """How many lines name an agency, a sample or an address."""
    return sum(_is_stock(line.text.lower()) for line in lines)


def repeats(lines: Iterable[Line]) -> int:
    """How often the most frequent text stands in a picture, cut off at its border or not."""
    texts = [_plain(line.text) for line in lines]
    texts = [text for text in texts if len(text) >= LEAST]
    return max((sum(text in other or other in text for other in texts) for text in Counter(texts)), default=0)


def _is_stock(text: str) -> bool:
    plain = _plain(text)
    named = any(name in plain for name in AGENCIES) or bool(ADDRESS.search(text))
    return named or bool(get_close_matches(plain, (*AGENCIES, *WORDS), n=1, cutoff=ALIKE))


def _plain(text: str) -> str:
    return "".join(sign for sign in text.lower() if sign.isalnum())
