"""A text file with one path a line."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import Field

from curation.errors import InputError
from curation.sources._inside import BAD_NAME, OUTSIDE, root_of
from curation.sources._source import STEP, Item, Location, SourceConfig
from curation.stores import StoreError, asking, place


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
        folder = self.root or self.list.rpartition("/")[0]
        entries: dict[str, int] = {}
        for number, line in enumerate(self._text().splitlines(), 1):
            if line.strip() and not line.lstrip().startswith("#"):
                entries.setdefault(line.strip(), number)
        root, found = root_of(folder), dict[str, Item]()
        for entry, number in entries.items():
            one = root.find(entry)
            if one.problem in (OUTSIDE, BAD_NAME):
                raise self._refusal(number, entry, folder)
            found[one.uri] = Item(one.uri, self.label(), self.licence, one.size, one.problem)
        yield from (found[uri] for uri in sorted(found))

    def _text(self) -> str:
        try:
            with asking():
                fs, path = place(self.list)
                with fs.open(path, "rb") as file:
                    return bytes(file.read()).decode()
        except StoreError as error:
            if error.kind == "missing":
                what = f"list {self.list} does not exist"
                raise InputError(what, STEP, "check the path of the source") from error
            other = None if error.kind != "failed" else "give a UTF-8 text file"
            raise error.as_input_error(f"list {self.list} cannot be read", STEP, other) from error

    def _refusal(self, number: int, entry: str, root: str) -> InputError:
        what = f"line {number} of {self.list} leaves {root}: {entry}"
        return InputError(
            what, STEP, "remove the line, or set the source's root to a folder that holds all files"
        )
