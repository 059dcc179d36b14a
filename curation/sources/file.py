"""One file."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import Field

from curation.errors import InputError
from curation.sources._source import STEP, Item, Location, SourceConfig
from curation.stores import StoreError, info, place


class FileSource(SourceConfig):
    """One file, followed where it is a link: the user named it."""

    file: Location = Field(description="path or fsspec URL")

    def where(self) -> str:
        """The file."""
        return self.file

    def items(self) -> Iterator[Item]:
        """The file. Raises InputError if it is not there."""
        try:
            told = info(place(self.file))
        except StoreError as error:
            raise error.as_input_error(f"file {self.file} cannot be read", STEP) from error
        if told is None:
            raise InputError(f"file {self.file} does not exist", STEP, "check the path of the source")
        if told["type"] == "directory":
            raise InputError(f"{self.file} is a folder", STEP, "write folder: instead of file:")
        yield Item(self.file, self.label(), self.licence, int(told.get("size") or 0))
