"""Where the media lies that records name: in folders below a root, or inside plain tars there."""

from __future__ import annotations

from curation.errors import InputError
from curation.sources import _tar as tar
from curation.sources._files import files_of
from curation.sources._inside import NO_FILE, Found, root_of
from curation.sources.datasets._sample import RecordError
from curation.sources.members import parse, tar_member
from curation.stores import StoreError, asking, info, is_local, place

MISSING = "missing"


class Finder:
    """Finds media below one root. `folders` are relative to it, tried in their order."""

    def __init__(self, root: str, folders: tuple[str, ...]) -> None:
        self._where = root
        self._folders = folders
        self._root = root_of(root)
        self._tars: dict[str, str] | None = None

    def find(self, entry: str) -> str:
        """The uri of what a record names. Raises RecordError if it is not there or leads out of the root."""
        if parse(entry) is not None:
            return entry
        for folder in self._folders:
            found = self._root.find(f"{folder}/{entry}" if folder else entry)
            if found.problem == NO_FILE:
                continue
            if found.problem:
                raise RecordError(found.problem, f"{entry!r} is not below {self._where}")
            if _is_there(found):
                return found.uri
        return self._in_tar(entry)

    def _in_tar(self, entry: str) -> str:
        if self._tars is None:
            self._tars = _members(self._where)
        names = (f"{folder}/{entry}".lstrip("/") for folder in self._folders)
        for name in names:
            if name.removeprefix("./") in self._tars:
                return self._tars[name.removeprefix("./")]
        raise RecordError(MISSING, f"{entry!r} is not in {self._where}")


def _is_there(found: Found) -> bool:
    if is_local(found.uri):
        return found.size > 0 or _exists(found.uri)
    return _exists(found.uri)


def _exists(uri: str) -> bool:
    try:
        told = info(place(uri))
    except StoreError as error:
        raise RecordError(MISSING, str(error)) from error
    return told is not None and told["type"] == "file"


def _members(root: str) -> dict[str, str]:
    """The uri of each file in the plain tars below a root, by its name."""
    found: dict[str, str] = {}
    try:
        shards = files_of(root, (".tar",))
    except InputError:  # there are none
        return found
    for shard in shards:
        try:
            with asking():
                fs, path = place(shard.uri)
                with fs.open(path, "rb") as file:
                    for member in tar.walk(file, shard.size or 0):
                        name = member.name.removeprefix("./")
                        if member.kind == "file":
                            found.setdefault(name, tar_member(shard.uri, member.offset, member.size, name))
        except (StoreError, tar.BrokenTarError):
            continue  # what was found before it broke off is there; the rest is missing, record by record
    return found
