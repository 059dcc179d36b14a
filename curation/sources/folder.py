"""All files of a folder or bucket."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NoReturn

from pydantic import Field

from curation.errors import InputError
from curation.sources._source import STEP, Item, Location, SourceConfig, local_item
from curation.stores import StoreError, asking, is_local, place


class FolderSource(SourceConfig):
    """Every file under a folder, however deep. A link that leaves the folder ends as an error row, unread."""

    folder: Location = Field(description="path or fsspec URL")
    glob: str = Field(
        default="**", description="relative to the folder: *.mp4 its own, **/*.mp4 at any depth"
    )

    def where(self) -> str:
        """The folder."""
        return self.folder

    def items(self) -> Iterator[Item]:
        """The folder's files, sorted by their path."""
        from fsspec.utils import glob_translate

        wanted = re.compile(".*" if self.glob == "**" else glob_translate(self.glob), re.DOTALL)
        for relative, item in sorted(self._local() if is_local(self.folder) else self._remote()):
            if not _hidden(relative) and wanted.match(relative):
                yield item

    def _local(self) -> Iterator[tuple[str, Item]]:
        root = Path(self.folder)
        if not root.is_dir():
            kind = "is not a folder" if root.exists() else "does not exist"
            raise InputError(f"folder {root} {kind}", STEP, "check the path of the source")
        resolved = root.resolve()
        for folder, _, names in os.walk(root, onerror=_refuse):
            for path in (Path(folder, name) for name in names):
                if path.is_file() or path.is_symlink():
                    item = local_item(path, resolved, self.label(), self.licence)
                    yield Path(item.uri).relative_to(root).as_posix(), item

    def _remote(self) -> Iterator[tuple[str, Item]]:
        try:
            with asking():
                fs, root = place(self.folder)
                found = fs.find(root, detail=True)
        except StoreError as error:
            raise error.as_input_error(f"folder {self.folder} cannot be listed", STEP) from error
        for path, told in found.items():
            if told["type"] == "file" and not path.endswith(
                "/"
            ):  # an object of that name stands for a folder
                uri, size = fs.unstrip_protocol(path), int(told.get("size") or 0)
                item = Item(uri, self.label(), self.licence, size, stamp=_etag(told))
                yield path[len(root) :].lstrip("/"), item


def _etag(told: Mapping[str, Any]) -> str | None:
    """What changes with an object's bytes, as its store's listing says it."""
    found = told.get("ETag") or told.get("etag") or told.get("md5Hash")
    return str(found).strip('"') if found else None


def _hidden(relative: str) -> bool:
    """Whether a file or a folder above it has a name that starts with a dot; `..` is a name in a bucket."""
    return any(part.startswith(".") and part not in (".", "..") for part in relative.split("/"))


def _refuse(error: OSError) -> NoReturn:
    what = f"folder {error.filename} cannot be read: {error.strerror}"
    raise InputError(what, STEP, "make it readable, or leave it out with a glob") from error
