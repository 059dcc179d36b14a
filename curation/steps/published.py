"""The rows that planning needs, published before or judged now, kept small: there may be a million."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping
from sys import intern
from typing import ClassVar

from curation.dataset import Dataset
from curation.steps.plan import PUBLISHED, Row

_REPEATED = ("source_sha256", "uri", "task", "verdict", "filter", "reason", "recipe_sha256")


class Scores(Mapping[str, float]):
    """Scores of one row, without those that it lacks; the names of all rows with the same ones are shared."""

    __slots__ = ("_names", "_values")
    _shared: ClassVar[dict[tuple[str, ...], tuple[str, ...]]] = {}

    def __init__(self, scores: Mapping[str, float | None]) -> None:
        there = {name: value for name, value in scores.items() if value is not None}
        names = tuple(there)
        self._names = self._shared.setdefault(names, names)
        self._values = array("d", there.values())

    def __getitem__(self, name: str) -> float:
        try:
            return self._values[self._names.index(name)]
        except ValueError:
            raise KeyError(name) from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def published(base: Dataset) -> list[Row]:
    """All rows of a version, with the columns of PUBLISHED."""
    return [slim(row) for row in base.iter_rows(PUBLISHED)]


def slim(row: Row) -> Row:
    """A row, published or staged, with what it shares with others kept once for all."""
    for name in _REPEATED:
        if row.get(name) is not None:
            row[name] = intern(row[name])
    row["scores"] = Scores(dict(row["scores"] or {}))
    return row
