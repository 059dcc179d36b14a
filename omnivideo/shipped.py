"""Trained models that come with the package, by name."""

from __future__ import annotations

from pathlib import Path

WEIGHTS = Path(__file__).parent / "weights"


def names() -> list[str]:
    """The models that there are."""
    return sorted(path.name for path in WEIGHTS.iterdir())


def folder(model: str) -> Path:
    """The folder of a model: that of a shipped one if `model` is its name and no folder here."""
    return WEIGHTS / model if model in names() and not Path(model).exists() else Path(model)
