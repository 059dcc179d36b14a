"""The thresholds that a stored recipe set, each with the score it bounds; read without running a filter.

A recipe in a dataset's log may name a filter's file, and looking at a dataset runs no code that it points
at: of such a filter, fields `min_<score>` and `max_<score>` count. Rules of this code are loaded by name.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Threshold:
    """One bound on one score: a clip is rejected below a "min" and above a "max"; on it, it stays."""

    filter: str
    field: str
    score: str  # field of `scores`
    side: str  # "min" or "max"
    value: float
    reason: str
    about: str = ""

    def rejects(self, score: float) -> bool:
        """Whether a clip with this score lies beyond the bound."""
        return score < self.value if self.side == "min" else score > self.value


@dataclass(frozen=True)
class Rule:
    """A filter of the recipe with the thresholds it set."""

    name: str
    cost: str | None  # name of its cost class, None if its file is not in this version of the code
    about: str
    thresholds: tuple[Threshold, ...]
    applies_to: tuple[str, ...] = ("image", "video")
    per_file: bool = False  # it may have judged a whole file by its header

    def lacks(self, scores: Mapping[str, float | None]) -> bool:
        """Whether a score that a threshold bounds is not there."""
        return any(scores.get(one.score) is None for one in self.thresholds)

    def decide(self, scores: Mapping[str, float | None]) -> str | None:
        """The reason to reject, or None; thresholds on scores that are not there say nothing."""
        for one in self.thresholds:
            score = scores.get(one.score)
            if score is not None and one.rejects(score):
                return one.reason
        return None


def owned(rule: str, scores: Iterable[str], rules: Iterable[str]) -> list[str]:
    """Scores named `<rule>_…`, without those of another rule whose name begins likewise."""
    longer = [other for other in rules if other != rule and other.startswith(f"{rule}_")]
    return [
        field
        for field in scores
        if field.startswith(f"{rule}_") and not any(field.startswith(f"{other}_") for other in longer)
    ]


def rules_of(
    recipe: Mapping[str, Any], scores: Sequence[str], cascade: Mapping[str, Any] | None = None
) -> list[Rule]:
    """The recipe's filters in the order the cascade ran them, with thresholds on scores that are stored.

    `cascade` is what the commit says of that order; commits that say nothing ordered filters by their cost.
    """
    entries = [split_entry(entry) for entry in recipe.get("filters") or []]
    rules = [_rule(rule, fields, scores) for rule, fields in entries]
    classes = ["PROBE", "FRAMES", "FLOW", "MODEL", None]
    names = list((cascade or {}).get("order", ()))

    def place(rule: Rule) -> tuple[int, int]:
        by_cost = classes.index(rule.cost) if rule.cost in classes else len(classes)
        return names.index(rule.name) if rule.name in names else len(names), by_cost

    return sorted(rules, key=place)


def dedup_bound(recipe: Mapping[str, Any]) -> float:
    """Bits up to which the recipe calls two clips near duplicates."""
    from curation.config import DedupConfig

    default = DedupConfig.model_fields["max_hamming"].default
    return float((recipe.get("dedup") or {}).get("max_hamming", default))


def split_entry(entry: Any) -> tuple[str, dict[str, Any]]:
    """A recipe's entry, a name or `{name: {field: value}}`, as name and fields."""
    if isinstance(entry, str):
        return entry, {}
    ((rule, fields),) = entry.items()
    return rule, dict(fields or {})


def stem(named: str) -> str:
    """A filter's own name; that of a filter in a file of its own is the file's."""
    return named.rpartition("/")[2].removesuffix(".py")


def _rule(named: str, fields: dict[str, Any], scores: Sequence[str]) -> Rule:
    from curation.filters import load, names

    if named not in names():
        return Rule(stem(named), None, "", tuple(_guessed(stem(named), fields, scores)))
    kind = load(named)
    values = {field: info.default for field, info in kind.model_fields.items()} | fields
    about = {field: info.description or "" for field, info in kind.model_fields.items()}
    thresholds = tuple(
        Threshold(
            filter=named,
            field=field,
            score=f"{named}_{measured}",
            side=side,
            value=float(values[field]),
            reason=kind.reasons.get(field, _slug(field, side)),
            about=about.get(field, ""),
        )
        for field, (measured, side) in kind.thresholds.items()
        if _is_number(values.get(field)) and f"{named}_{measured}" in scores
    )
    return Rule(named, kind.cost.name, _first_line(kind), thresholds, kind.applies_to, kind.per_file)


def _guessed(rule: str, fields: dict[str, Any], scores: Sequence[str]) -> Iterable[Threshold]:
    for field, value in fields.items():
        side, _, measured = field.partition("_")
        if side in {"min", "max"} and f"{rule}_{measured}" in scores and _is_number(value):
            yield Threshold(rule, field, f"{rule}_{measured}", side, float(value), _slug(field, side))


def _slug(field: str, side: str) -> str:
    return f"{'below' if side == 'min' else 'above'}_{field}"


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _first_line(kind: type) -> str:
    return (kind.__doc__ or "").strip().partition("\n")[0]
