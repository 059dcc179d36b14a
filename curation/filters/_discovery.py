"""Finding filters by the name of their file, or by a path; there is no list to edit."""

from __future__ import annotations

import difflib
import hashlib
import importlib
import importlib.util
import pkgutil
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from pydantic import ValidationError

import curation.filters as room
from curation.errors import InputError
from curation.filters import Filter

STEP = "filters"


@cache
def rules() -> tuple[str, ...]:
    """Names of the rules in this folder, looked up once a process."""
    return tuple(sorted(m.name for m in pkgutil.iter_modules(room.__path__) if not m.name.startswith("_")))


def find(name: str) -> type[Filter]:
    """The filter class of a rule's name or of a .py file's path."""
    module = _from_path(Path(name)) if name.endswith(".py") else _from_folder(name)
    found = [
        kind
        for kind in vars(module).values()
        if isinstance(kind, type) and issubclass(kind, Filter) and kind.__module__ == module.__name__
    ]
    if len(found) != 1:
        raise InputError(
            f"{name} defines {len(found)} filters",
            STEP,
            "define exactly one subclass of curation.filters.Filter",
        )
    _check_thresholds(name, found[0])
    return found[0]


def _check_thresholds(name: str, kind: type[Filter]) -> None:
    """Refuse a threshold of no field, or on a score that the filter does not have."""
    for field, (score, _) in kind.thresholds.items():
        for what, known in ((field, list(kind.model_fields)), (score, kind.scores)):
            if what not in known:
                said = f"{name}: threshold {field!r} on {score!r}: there is no {what!r}{_near(what, known)}"
                raise InputError(said, STEP, "fix the filter's file")


def build(entry: str | Mapping[str, Any]) -> Filter:
    """A recipe's entry, a name or `{name: {field: value}}`, as a filter."""
    name, fields = _name_and_fields(entry)
    kind = find(name)
    try:
        return kind(**fields)
    except ValidationError as error:
        raise InputError(
            f"{name}: {_first(error, kind)}", STEP, f"fix filter {name} in the recipe"
        ) from error


def check_names(filters: Sequence[Filter]) -> None:
    """Raise InputError if two filters share a name, for their scores would fall into one column."""
    for name, count in Counter(rule.name() for rule in filters).items():
        if count > 1:
            raise InputError(f"{count} filters are named {name!r}", STEP, "keep one, or rename a file")


def _name_and_fields(entry: Any) -> tuple[str, dict[str, Any]]:
    if isinstance(entry, str):
        return entry, {}
    if isinstance(entry, Mapping) and len(entry) == 1:
        ((name, fields),) = entry.items()
        if isinstance(name, str) and (fields is None or isinstance(fields, Mapping)):
            return name, dict(fields or {})
    raise InputError(
        f"{entry!r} is not a filter", STEP, "write each filter as `- name` or `- name: {field: value}`"
    )


def _first(error: ValidationError, kind: type[Filter]) -> str:
    """The first complaint of pydantic, with the near matches of an unknown field."""
    problem = error.errors()[0]
    field = ".".join(str(part) for part in problem["loc"])
    if problem["type"] != "extra_forbidden":
        return f"{field}: {problem['msg']}"
    return f"unknown field {field!r}{_near(field, list(kind.model_fields))}"


def _near(word: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(word, known, n=3, cutoff=0.5)
    return f"; did you mean {' or '.join(close)}?" if close else f"; there are {', '.join(known)}"


def _from_folder(name: str) -> ModuleType:
    if name not in rules():
        raise InputError(
            f"no filter {name!r}{_near(name, rules())}",
            STEP,
            "name a rule, or the path of a filter's .py file",
        )
    return importlib.import_module(f"{room.__name__}.{name}")


def _from_path(path: Path) -> ModuleType:
    """The module of a user's file, once a process; its last name is the file's, as for built-in rules."""
    if not path.is_file():
        raise InputError(
            f"no filter file {path}", STEP, "check the path (relative to where the command runs)"
        )
    path = path.resolve()
    package = "curation_user_" + hashlib.sha256(str(path).encode()).hexdigest()[:8]
    name = f"{package}.{path.stem}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        raise InputError(f"{path}: {type(error).__name__}: {error}", STEP, "fix the filter's file") from error
    return module
