"""What a list may name: files below its root, and nothing else. Lists come from elsewhere."""

from __future__ import annotations

import os
import stat
from functools import lru_cache
from typing import NamedTuple, Protocol
from urllib.parse import unquote

from curation.errors import InputError
from curation.sources._source import STEP
from curation.stores import is_local, scheme_of

OUTSIDE = "outside_root"
BAD_NAME = "bad_name"
NO_FILE = "no_file"


class Found(NamedTuple):
    """What an entry of a list means."""

    uri: str  # the entry as it is, where there is a problem
    size: int  # bytes; 0 if unknown
    problem: str | None = None  # a slug


class Root(Protocol):
    """A folder, bucket or prefix that entries are relative to."""

    def find(self, entry: str) -> Found:
        """What an entry means."""
        ...


def root_of(location: str) -> Root:
    """The root at a path or URL. Raises InputError if it is a path and no folder."""
    if not is_local(location):
        return _Prefix(location)
    if not os.path.isdir(location):
        raise InputError(f"the root {location} is no folder", STEP, "check the source's root")
    return _Folder(location)


class _Folder:
    """A folder of this machine; entries may be absolute, or file:// URLs, if they lie in it."""

    def __init__(self, folder: str) -> None:
        self._base = os.path.realpath(folder)
        self._resolved = lru_cache(4096)(os.path.realpath)

    def find(self, entry: str) -> Found:
        """A file below the folder. One that is missing is found: reading it will say so."""
        entry = entry.removeprefix("file://")
        if "\0" in entry or not _is_text(entry):
            return Found(entry, 0, BAD_NAME)
        if not is_local(entry):
            return Found(entry, 0, OUTSIDE)
        path = os.path.normpath(os.path.join(self._base, entry))
        parent, _ = os.path.split(path)
        if not self._holds(path) or not self._holds(self._resolved(parent) + "/"):
            return Found(entry, 0, OUTSIDE)
        return self._look(path, entry)

    def _look(self, path: str, entry: str) -> Found:
        try:
            seen = os.lstat(path)
            if stat.S_ISLNK(seen.st_mode):
                if not self._holds(os.path.realpath(path)):
                    return Found(entry, 0, OUTSIDE)
                seen = os.stat(path)
        except OSError:
            return Found(path, 0)
        return Found(path, seen.st_size, None if stat.S_ISREG(seen.st_mode) else NO_FILE)

    def _holds(self, path: str) -> bool:
        return path.startswith(self._base.rstrip("/") + "/")


class _Prefix:
    """A prefix of URLs; entries may be whole URLs if they begin with it."""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")
        self._decodes = scheme_of(url) in ("http", "https")  # its servers take %2e for a dot

    def find(self, entry: str) -> Found:
        """A URL below the prefix, not looked at."""
        inside = entry.removeprefix(f"{self._url}/").removeprefix("./")
        if "\0" in inside or not _is_text(inside):
            return Found(entry, 0, BAD_NAME)
        plain = unquote(inside) if self._decodes else inside
        if "://" in plain or plain.startswith("/") or ".." in plain.replace("\\", "/").split("/"):
            return Found(entry, 0, OUTSIDE)
        return Found(f"{self._url}/{inside}", 0)


def _is_text(entry: str) -> bool:
    """Whether a name can be written in a column: no half of a character, no byte that was none."""
    return not any("\ud800" <= one <= "\udfff" for one in entry)
