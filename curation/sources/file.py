"""One file."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import Field

from curation.errors import InputError
from curation.sources._source import STEP, Item, Location, SourceConfig


class FileSource(SourceConfig):
    """One file, followed where it is a link: the user named it."""

    file: Location = Field(description="path or fsspec URL")

    def where(self) -> str:
        """The file."""
        return self.file

    def items(self) -> Iterator[Item]:
        """The file. Raises InputError if it is not there."""
        import fsspec

        try:
            fs, path = fsspec.core.url_to_fs(self.file)
            info = fs.info(path)
        except FileNotFoundError as error:
            raise InputError(
                f"file {self.file} does not exist", STEP, "check the path of the source"
            ) from error
        except (OSError, ValueError, ImportError) as error:
            raise InputError(f"file {self.file} cannot be read: {error}", STEP, "check its rights") from error
        if info["type"] == "directory":
            raise InputError(f"{self.file} is a folder", STEP, "write folder: instead of file:")
        yield Item(self.file, self.label(), self.licence, int(info.get("size") or 0))
