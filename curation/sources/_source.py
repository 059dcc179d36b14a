"""What all sources share: their base configuration and the inputs that they list."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, NamedTuple
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from curation.stores import is_local

STEP = "listing sources"
REPEATED = "repeated"  # the problem of a record that names a file again; its detail is that file's uri


class Item(NamedTuple):
    """One input: a file, before anybody has read it."""

    uri: str  # an absolute path, or a URL that fsspec opens
    source: str  # the `source` column
    licence: str | None
    size: int  # bytes, as the listing says; 0 if it does not
    problem: str | None = None  # a slug: why the file must not be read
    caption: str | None = None  # that it came with
    detail: str | None = None  # about the problem: which line, what is wrong with it
    reader: tuple[str, str, str] | None = None  # of a dataset's record: dataset, root of its media, downloads
    stamp: str | None = None  # changes with the file: "mtime_ns:inode", or an ETag; None: read it each time


def absolute(uri: str) -> str:
    """A local path made absolute, links kept, `file://` dropped; any other URL as it is.

    Raises ValueError for a URL with a password in it: recipes travel, and stand in every version's lineage.
    """
    text = uri.removeprefix("file://")
    if not is_local(text) and urlsplit(text).password is not None:
        raise ValueError("no passwords in a URL: give them by the environment")
    return os.path.abspath(os.path.expanduser(text)) if is_local(text) else text


Location = Annotated[str, Field(min_length=1), AfterValidator(absolute)]


class SourceConfig(BaseModel):
    """Base of all sources. `name` becomes the `source` column, `licence` that of the same name."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    licence: str | None = Field(default=None, description="of all files of this source")
    name: str | None = Field(
        default=None, description="the `source` column; default: the last part of the path"
    )
    rehash: bool = Field(
        default=False, description="read files again though neither their size nor their time has changed"
    )

    def items(self) -> Iterator[Item]:
        """The inputs, sorted by uri. Raises InputError if the source itself cannot be read."""
        raise NotImplementedError

    def where(self) -> str:
        """The path or URL, for messages."""
        raise NotImplementedError

    def label(self) -> str:
        """The `source` column."""
        return self.name or self.where().rstrip("/").rpartition("/")[2] or self.where()


def local_item(path: Path, root: Path, label: str, licence: str | None) -> Item:
    """A local file as an input; links that leave `root` (resolved) and names not in UTF-8 stay unread."""
    text = os.fsencode(path).decode("utf-8", "backslashreplace")
    if text != str(path):  # no column and no message could say the name as it is
        return Item(text, label, licence, 0, "bad_name")
    if path.is_symlink() and not path.resolve().is_relative_to(root):
        return Item(str(path), label, licence, 0, "outside_root")
    if not path.exists():
        return Item(str(path), label, licence, 0)
    told = path.stat()
    return Item(str(path), label, licence, told.st_size, stamp=f"{told.st_mtime_ns}:{told.st_ino}")
