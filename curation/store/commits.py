"""Which commit says how a row was judged: rows name their recipe, commits hold it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

Commit = Mapping[str, Any]


def judging(history: Iterable[Commit], recipe_sha256: str | None) -> Commit:
    """The newest commit under whose recipe rows of this recipe were judged; {} if none says so.

    That is one with this recipe, or one that judged the rows again and found nothing to change in them
    (it `confirms` their recipe). `history` is newest first.
    """
    said = (c for c in history if c.get("recipe_sha256") == recipe_sha256 or _confirms(c, recipe_sha256))
    return next(said, {})


def _confirms(commit: Commit, recipe_sha256: str | None) -> bool:
    return recipe_sha256 in (commit.get("confirms") or ())


def newest(history: Iterable[Commit]) -> Commit:
    """The newest commit that says by which recipe it was made; {} if none does."""
    return next((commit for commit in history if commit.get("recipe")), {})
