"""A caption from measured signals only. It names no objects, because nothing here recognises any."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

BRIGHT, DARK = 0.6, 0.25  # mean luma, 0-1
FLOW_WORDS = (
    (0.3, "almost no motion"),
    (1.5, "slow motion"),
    (4.0, "moderate motion"),
)  # % of diagonal a second
CHANGE_WORDS = ((0.01, "little change"), (0.05, "some change"))  # mean difference of sampled frames, 0-1
TEXT_AREA = (0.002, 0.05)  # share of the frame


class Describe:
    """Says length, shape, size, rate, motion, colours and light as measured; same input, same text."""

    name = "omnivideo/describe@1"

    def caption(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, str]:
        """Texts by sample id, from `scores` and `signals` of ClipRecords."""
        return {row["sample_id"]: sentence(row) for row in rows}


def sentence(row: Mapping[str, Any]) -> str:
    """One clip's measured facts as an English noun phrase with a full stop."""
    parts = [_what(row), *_motion(row), _colours(row), _light(row), *_text(row)]
    return ", ".join(part for part in parts if part) + "."


def _what(row: Mapping[str, Any]) -> str:
    shape = _shape(row["width"] / row["height"])
    size = f"{row['width']}\N{MULTIPLICATION SIGN}{row['height']}"
    if row["kind"] == "image":
        return f"A {shape} image, {size}"
    seconds = f"{row['end_s'] - row['start_s']:.1f}"
    article = "An" if seconds.startswith(("8", "11.", "18.")) else "A"
    return f"{article} {seconds}-second {shape} video, {size} at {row['fps']:.3g} fps"


def _shape(ratio: float) -> str:
    if 0.95 <= ratio <= 1.05:
        return "square"
    return "landscape" if ratio > 1 else "portrait"


def _motion(row: Mapping[str, Any]) -> list[str]:
    if row["kind"] == "image":
        return []
    flow = row["scores"].get("motion_mean_flow")
    if flow is not None:
        return [_word(flow, FLOW_WORDS, "fast motion")]
    return [_word(row["signals"]["change"], CHANGE_WORDS, "much change")]


def _word(value: float, words: tuple[tuple[float, str], ...], otherwise: str) -> str:
    return next((word for limit, word in words if value < limit), otherwise)


def _colours(row: Mapping[str, Any]) -> str:
    names = row["signals"]["colours"]
    return "dominated by " + (
        " and ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else names[0]
    )


def _light(row: Mapping[str, Any]) -> str:
    luma = row["signals"]["luma"]
    return "bright" if luma > BRIGHT else "dark" if luma < DARK else ""


def _text(row: Mapping[str, Any]) -> list[str]:
    area = row["scores"].get("text_overlay_text_area")
    if area is None:
        return []
    little, much = TEXT_AREA
    return ["no text" if area < little else "little text" if area < much else "much text"]
