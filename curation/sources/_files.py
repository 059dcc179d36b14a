"""The files that a path means: itself, a folder's, those of a glob, or those of `{000..010}` and `{a,b}`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, NamedTuple

from pydantic import Field

from curation.errors import InputError
from curation.sources._source import STEP, Location
from curation.stores import Place, StoreError, asking, info, is_local, place

Locations = Location | Annotated[tuple[Location, ...], Field(min_length=1)]

AT_ONCE = 16  # questions to a store
MOST = 1_000_000  # of one pattern
_BRACES = re.compile(r"\{([^{}]*)\}")
_RANGE = re.compile(r"(\d+)\.\.(\d+)")


class File(NamedTuple):
    """A file that is there, or that a pattern names and is not there (size None)."""

    uri: str
    size: int | None


def files_of(locations: Locations, suffixes: Sequence[str]) -> list[File]:
    """All files of some locations, each once, sorted; of a folder those that end in one of `suffixes`.

    Raises InputError if a location holds nothing or cannot be listed.
    """
    found: dict[str, File] = {}
    for location in (locations,) if isinstance(locations, str) else locations:
        for file in _find(location, suffixes):
            found.setdefault(file.uri, file)
    return [found[uri] for uri in sorted(found)]


def shown(locations: Locations) -> str:
    """Locations for a message."""
    return locations if isinstance(locations, str) else ", ".join(locations)


def expand(pattern: str) -> Iterator[str]:
    """What the braces of a pattern stand for: `{000..010}` numbers, as wide as the first, `{a,b}` each.

    Other braces stand for themselves. Raises InputError for more than a million.
    """
    for count, one in enumerate(_expand(pattern)):
        if count == MOST:
            raise InputError(f"{pattern} means more than {MOST} files", STEP, "name fewer in one pattern")
        yield one


def _expand(pattern: str) -> Iterator[str]:
    for braces in _BRACES.finditer(pattern):
        if choices := _choices(braces[1]):
            head, tail = pattern[: braces.start()], pattern[braces.end() :]
            for rest in _expand(tail):
                yield from (f"{head}{choice}{rest}" for choice in choices)
            return
    yield pattern


def _choices(inside: str) -> Iterable[str]:
    if numbers := _RANGE.fullmatch(inside):
        first, last, width = int(numbers[1]), int(numbers[2]), len(numbers[1])
        steps = range(first, last + 1) if first <= last else range(first, last - 1, -1)
        return (f"{number:0{width}d}" for number in steps)
    return inside.split(",") if "," in inside else ()


def _find(location: str, suffixes: Sequence[str]) -> Iterator[File]:
    try:
        with asking():
            found = list(_look(location, suffixes))
    except StoreError as error:
        raise error.as_input_error(f"{location} cannot be listed", STEP) from error
    if all(file.size is None for file in found):
        many = len(found) > 1
        what = (
            f"none of the {len(found)} files of {location} is there" if many else f"{location} is not there"
        )
        raise InputError(what, STEP, f"give a file, a glob or a folder of {' '.join(suffixes) or 'shards'}")
    yield from found


def _look(location: str, suffixes: Sequence[str]) -> Iterator[File]:
    at = place(location)
    told = info(at)
    if told is None:
        with ThreadPoolExecutor(AT_ONCE) as threads:
            for found in threads.map(_globbed, expand(location)):
                yield from found
    elif told["type"] == "file":
        yield File(location, int(told.get("size") or 0))
    else:
        yield from _inside(at, location, suffixes)


def _inside(at: Place, folder: str, suffixes: Sequence[str]) -> Iterator[File]:
    for one, told in at.fs.find(at.path, detail=True).items():
        hidden = any(part.startswith(".") for part in one[len(at.path) :].split("/"))
        if one.lower().endswith(tuple(suffixes)) and not hidden and told["type"] == "file":
            yield File(_uri(at, one, folder), int(told.get("size") or 0))


def _globbed(pattern: str) -> list[File]:
    at = place(pattern)
    if not any(sign in at.path for sign in "*?["):
        told = info(at)
        return [File(pattern, int(told.get("size") or 0) if told and told["type"] == "file" else None)]
    found = at.fs.glob(at.path, detail=True).items()
    files = ((one, told) for one, told in found if told["type"] == "file")
    return [File(_uri(at, one, pattern), int(told.get("size") or 0)) for one, told in files]


def _uri(at: Place, path: str, location: str) -> str:
    return path if is_local(location) else str(at.fs.unstrip_protocol(path))
