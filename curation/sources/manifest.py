"""A text file with one path a line."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from pathlib import Path

from pydantic import Field

from curation.errors import InputError
from curation.sources._source import STEP, Item, Location, SourceConfig, is_local, local_item


class ListSource(SourceConfig):
    """The files that a list names, one a line; empty lines and lines that start with # are passed over.

    A list may come from elsewhere, so it cannot name anything outside `root`: not by `..`, not by an absolute
    path, not by a link. A listed file that is missing ends as an error row.
    """

    list: Location = Field(description="path or fsspec URL of the text file")
    root: Location | None = Field(
        default=None, description="what the paths are relative to; default: its folder"
    )

    def where(self) -> str:
        """The text file."""
        return self.list

    def items(self) -> Iterator[Item]:
        """The listed files, sorted. Raises InputError for a line that leaves the root."""
        root = self.root or self.list.rpartition("/")[0]
        entries = [
            (number, line.strip())
            for number, line in enumerate(self._text().splitlines(), 1)
            if line.strip() and not line.lstrip().startswith("#")
        ]
        make = self._local if is_local(root) else self._remote
        yield from sorted({make(root, number, entry) for number, entry in entries}, key=lambda item: item.uri)

    def _text(self) -> str:
        import fsspec

        try:
            with fsspec.open(self.list, "rt", encoding="utf-8") as file:
                return str(file.read())
        except FileNotFoundError as error:
            raise InputError(
                f"list {self.list} does not exist", STEP, "check the path of the source"
            ) from error
        except (OSError, ValueError, ImportError) as error:
            raise InputError(
                f"list {self.list} cannot be read: {error}", STEP, "give a UTF-8 text file"
            ) from error

    def _local(self, root: str, number: int, entry: str) -> Item:
        base = Path(root).resolve()
        path = base / entry
        if not path.resolve().is_relative_to(base):
            raise self._refusal(number, entry, root)
        return local_item(Path(posixpath.normpath(path)), base, self.label(), self.licence)

    def _remote(self, root: str, number: int, entry: str) -> Item:
        inside = posixpath.normpath("/" + entry.removeprefix(root.rstrip("/") + "/"))[1:]
        outside = "://" in inside or entry.startswith("/") or ".." in entry.split("/")
        if outside or "://" in entry.removeprefix(root):
            raise self._refusal(number, entry, root)
        return Item(f"{root.rstrip('/')}/{inside}", self.label(), self.licence, 0)

    def _refusal(self, number: int, entry: str, root: str) -> InputError:
        what = f"line {number} of {self.list} leaves {root}: {entry}"
        return InputError(
            what, STEP, "remove the line, or set the source's root to a folder that holds all files"
        )
