"""Changes to a recipe's thresholds, as a user writes them: `motion.min_flow=0.3`."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from curation.errors import InputError
from curation.questions.thresholds import split_entry, stem

STEP = "reading a threshold"


class Change(NamedTuple):
    """One threshold of a recipe before and after; None: switched off."""

    filter: str
    field: str
    old: float | None
    new: float | None


def retune(recipe: Mapping[str, Any], assignments: Sequence[str]) -> tuple[dict[str, Any], list[Change]]:
    """The recipe with other thresholds, and what is different.

    Raises InputError for a filter that the recipe does not have, for a field that is no threshold, since
    other fields change the scores themselves, and for a value that the filter refuses.
    """
    entries = [split_entry(entry) for entry in recipe.get("filters") or []]
    changes = [_apply(entries, assignment) for assignment in assignments]
    return {**recipe, "filters": [{name: fields} for name, fields in entries]}, changes


def _apply(entries: list[tuple[str, dict[str, Any]]], assignment: str) -> Change:
    key, equals, text = assignment.partition("=")
    rule, dot, field = key.rpartition(".")
    if not (equals and dot and rule and field):
        raise InputError(f"{assignment!r} is not FILTER.FIELD=VALUE", STEP, "write motion.min_flow=0.3")
    found = {stem(name): (name, fields) for name, fields in entries}
    if rule not in found:
        raise InputError(f"the recipe has no filter {rule!r}", STEP, _near(rule, list(found)))
    name, fields = found[rule]
    value = _number(text, assignment)
    old = _set(name, fields, field, value)
    return Change(rule, field, old, value)


def _set(name: str, fields: dict[str, Any], field: str, value: float | None) -> float | None:
    """Set a field of one entry in place and return what it was."""
    from curation.filters import load, names, parse

    if name not in names():  # a user's own file, which is not run: only what its recipe says is known
        if field not in fields:
            raise InputError(f"{stem(name)} has no {field!r}", STEP, _near(field, list(fields)))
        old, fields[field] = fields[field], value
        return old if old is None else float(old)
    kind = load(name)
    if field not in kind.thresholds:
        measuring = f"{name}.{field} changes the scores themselves" if field in kind.model_fields else ""
        what = measuring or f"{name} has no threshold {field!r}"
        raise InputError(what, STEP, _near(field, list(kind.thresholds)))
    before = getattr(kind(**fields), field)
    fields[field] = value
    parse([{name: fields}])
    return before if before is None else float(before)


def _number(text: str, assignment: str) -> float | None:
    try:
        value = json.loads(text)
    except json.JSONDecodeError:
        value = text
    if value is None or (isinstance(value, int | float) and not isinstance(value, bool)):
        return value
    raise InputError(f"{assignment!r}: the value is no number", STEP, "give a number, or null for no bound")


def _near(word: str, known: list[str]) -> str:
    close = difflib.get_close_matches(word, known, n=3, cutoff=0.5)
    return f"did you mean {' or '.join(close)}?" if close else f"there are {', '.join(known) or 'none'}"
