"""The thresholds that a recipe set, each with the score it bounds, and what they say as SQL."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from curation.audit.rows import score

IS_IMAGE = "coalesce(task LIKE '%image%', num_frames = 1, false)"
"""Whether a row is an image; else it is a clip of a video."""


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

    def fails(self, value: float | None = None) -> str:
        """SQL: whether a row lies beyond this bound, or beyond another `value` of it; never NULL."""
        sign = "<" if self.side == "min" else ">"
        bound = self.value if value is None else value
        return f"coalesce({score(self.score)} {sign} {bound!r}, false)"


@dataclass(frozen=True)
class Rule:
    """A filter of the recipe with the thresholds it set."""

    name: str
    cost: str | None  # name of its cost class, None if its file is not in this version of the code
    about: str
    thresholds: tuple[Threshold, ...]

    def fails(self) -> str:
        """SQL: whether a row fails any threshold of this filter."""
        return any_of(threshold.fails() for threshold in self.thresholds)


def any_of(conditions: Iterable[str]) -> str:
    """SQL: one of the conditions; false when there is none."""
    return "(" + (" OR ".join(conditions) or "false") + ")"


def owned(rule: str, scores: Iterable[str], rules: Iterable[str]) -> list[str]:
    """Scores named `<rule>_…`, without those of another rule whose name begins likewise."""
    longer = [other for other in rules if other != rule and other.startswith(f"{rule}_")]
    return [
        field
        for field in scores
        if field.startswith(f"{rule}_") and not any(field.startswith(f"{other}_") for other in longer)
    ]


def rules_of(recipe: Mapping[str, Any], scores: Sequence[str]) -> list[Rule]:
    """The recipe's filters in the order the cascade ran them, with thresholds on scores that are stored.

    Only filters of this code are loaded by name: a recipe in a dataset's log may name a file, and an audit
    runs no code that a dataset points at. For such a filter, fields `min_<score>` and `max_<score>` count.
    """
    entries = [_entry(entry) for entry in recipe.get("filters") or []]
    rules = [_rule(rule, fields, scores) for rule, fields in entries]
    order = ["PROBE", "FRAMES", "FLOW", "MODEL", None]
    return sorted(rules, key=lambda rule: order.index(rule.cost) if rule.cost in order else len(order))


def dedup_bound(recipe: Mapping[str, Any]) -> float:
    """Bits up to which the recipe calls two clips near duplicates."""
    from curation.config import DedupConfig

    default = DedupConfig.model_fields["max_hamming"].default
    return float((recipe.get("dedup") or {}).get("max_hamming", default))


def _entry(entry: Any) -> tuple[str, dict[str, Any]]:
    if isinstance(entry, str):
        return entry, {}
    ((rule, fields),) = entry.items()
    return rule, dict(fields or {})


def _rule(named: str, fields: dict[str, Any], scores: Sequence[str]) -> Rule:
    from curation.filters import load, names

    if named not in names():
        stem = named.rpartition("/")[2].removesuffix(".py")
        return Rule(stem, None, "", tuple(_guessed(stem, fields, scores)))
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
    return Rule(named, kind.cost.name, _first_line(kind), thresholds)


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
