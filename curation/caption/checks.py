"""Cleaning an answer, and what is wrong with it if it cannot be a caption. Pure functions on texts.

Openings as Open-Sora-Plan strips them from its recaptions; repetition as Gopher counts it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from curation.caption.config import ChecksConfig

# One word, or one character of a script that puts no spaces between words.
WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]|[^\W_]+(?:['’][^\W_]+)?")
STUCK = 4  # times the same word in a row

MARKUP = re.compile(
    r"\*{1,3}|`{1,3}|^\s*(?:#{1,6}|[-•])\s+|(?<!\w)_{1,2}(?=\w)|(?<=\w)_{1,2}(?!\w)", re.MULTILINE
)

_THIS = r"(?:this|the|these) (?:short |video |\d+-second )*"
_SHOWN = r"(?:video|clip|image|footage|scene|photo|photograph|picture|frames?|sequence|shot)"
_SHOWS = (
    r"(?:shows?|depicts?|features?|displays?|captures?|presents?|portrays?|illustrates?|showcases?"
    r"|(?:begins?|opens?|starts?) with|is of)"
)
OPENINGS = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        r"(?:sure|certainly|of course|okay)[,!.:]\s*",
        r"here(?:'s| is| are)\b[^.:\n]{0,60}:\s*",
        r"(?:caption|description|answer)\s*:\s*",
        rf"in {_THIS}{_SHOWN}(?: clip)?,?\s+(?:we (?:can )?see\s+)?",
        rf"{_THIS}{_SHOWN}(?: clip| sequence)? {_SHOWS}\s+",
        r"we (?:can )?see\s+",
    )
)
REFUSALS = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        r"^(?:i['’]?m|i am|we are)?\s*(?:so |very )?sorry\b",
        r"^(?:unfortunately, )?i (?:can ?not|can['’]t|could not|won['’]t|am unable|['’]m unable)\b",
        r"\bas an? (?:ai|language model|artificial intelligence)\b",
        r"\b(?:cannot|can['’]t|unable to) (?:assist|help with|view|see|access|watch) "
        r"(?:the |this |that |any )?(?:request|video|image|frame|content|media)",
        r"\bno (?:video|image|frame)s? (?:was|were|is|are|has been) (?:provided|attached|given|visible)",
        r"^please (?:provide|upload|share|send)\b",
    )
)
INSTRUCTIONS = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        r"\b(?:ignore|disregard|forget|override)\b.{0,30}\b(?:instruction|prompt|rule|direction)s?\b",
        r"\b(?:system prompt|developer message|new instructions?)\b",
        r"\byou (?:are|act) (?:now |as )?(?:an? )?(?:ai|assistant|chatbot|language model|dan)\b",
        r"\b(?:respond|reply|answer|output|say) (?:only|exactly|with)\b",
        r"<\|?(?:im_start|im_end|system|user|assistant|endoftext)\|?>|\[/?INST\]|</?frames>",
    )
)

LOOKALIKES = str.maketrans("l10", "iio")  # as text recognition mixes them up
ORDERS = re.compile(  # as `_folded` writes
    r"(?:ignore|disregard|forget|override)\w{0,25}(?:instruction|prompt)|systemprompt|(?:repiy|respond)oniy"
)


def clean(text: str) -> str:
    """One paragraph: no reasoning, markup, quotes around it or opening like "The video shows"."""
    text = re.sub(r"<think>.*?(?:</think>|$)", " ", text, flags=re.DOTALL)
    text = MARKUP.sub("", text)
    text = " ".join(text.split()).strip("\"“”' ")
    while True:
        shorter = _without_opening(text)
        if shorter == text:
            return text[:1].upper() + text[1:]
        text = shorter


def whole_sentences(text: str, min_words: int) -> str:
    """Without a last sentence that was cut off, if enough is left."""
    if re.search(r"[.!?。！？…][\"”')]*$", text):
        return text
    ends = [match.end() for match in re.finditer(r"[.!?](?=\s)|[。！？]", text)]
    return text[: ends[-1]] if ends and len(words(text[: ends[-1]])) >= min_words else text


def problem(text: str, prompt: str, seen_text: str, config: ChecksConfig) -> str | None:
    """A stable slug: why a cleaned text is no caption, or None."""
    found = words(text)
    if not found:
        return "empty"
    if any(pattern.search(text) for pattern in REFUSALS):
        return "refusal"
    if looks_like_instruction(text):
        return "instruction"
    if repeated_share(found) > config.max_repeated_share or _stuck(found):
        return "repetition"
    if len(found) < config.min_words:
        return "too_short"
    if len(found) > config.max_words:
        return "too_long"
    if copied_share(text, seen_text) > config.max_copied_share:
        return "copies_text"
    return "copies_prompt" if copied_share(text, prompt) > config.max_copied_share else None


def looks_like_instruction(text: str) -> bool:
    """Whether a text speaks to a model and not of a picture."""
    return any(pattern.search(text) for pattern in INSTRUCTIONS)


def gives_orders(seen_text: str) -> bool:
    """Whether what can be read in a picture speaks to a model; spaces in it may be lost, letters mixed up."""
    return looks_like_instruction(seen_text) or bool(ORDERS.search(_folded(words(seen_text))))


def words(text: str) -> list[str]:
    """Lower-case words; each character of Chinese, Japanese and Korean is one."""
    return WORD.findall(text.lower())


def repeated_share(found: Sequence[str], size: int = 5) -> float:
    """Share of the words in n-grams that occur before, from 0 to 1."""
    grams = _grams(found, size)
    counts = Counter(grams)
    return _covered([index for index, gram in enumerate(grams) if counts[gram] > 1], size, len(found))


def copied_share(text: str, source: str, size: int = 3) -> float:
    """Share of the text's words in n-grams that the source has, from 0 to 1.

    Spaces do not count, nor whether it is an l or an I: text recognition cannot tell.
    """
    found, known = words(text), _folded(words(source))
    starts = [index for index, gram in enumerate(_grams(found, size)) if _folded(gram) in known]
    return _covered(starts, size, len(found))


def _folded(found: Sequence[str]) -> str:
    """Words run together, letters that look alike as one."""
    return "".join(found).translate(LOOKALIKES)


def _covered(starts: Sequence[int], size: int, total: int) -> float:
    return len({start + i for start in starts for i in range(size)}) / total if total else 0.0


def _grams(found: Sequence[str], size: int) -> list[tuple[str, ...]]:
    return [tuple(found[i : i + size]) for i in range(len(found) - size + 1)]


def _stuck(found: Sequence[str]) -> bool:
    return any(len(set(found[i : i + STUCK])) == 1 for i in range(len(found) - STUCK + 1))


def _without_opening(text: str) -> str:
    for opening in OPENINGS:
        match = opening.match(text)
        if match and match.end() < len(text):
            return text[match.end() :]
    return text
