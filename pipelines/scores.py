"""A model's scores for people: what each part is judged by first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

MAIN = ("overall", "done", "outside_psnr", "accuracy", "gain")


def figures(scores: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, float]]]:
    """Yield each part with the figures that it is judged by; a part without any has none."""
    for part, score in scores.items():
        yield part, {name: score[name] for name in MAIN if score.get(name) is not None}


def lines(scores: Mapping[str, Any]) -> Iterator[str]:
    """Yield one line a part."""
    for part, found in figures(scores):
        words = "  ".join(f"{name} {value:.2f}" for name, value in found.items())
        yield f"{part:<16} {words}".rstrip()
