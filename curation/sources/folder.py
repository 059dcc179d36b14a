"""All files of a folder or bucket."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

from pydantic import Field

from curation.errors import InputError
from curation.sources._source import STEP, Item, Location, SourceConfig, is_local, local_item


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

        wanted = re.compile(glob_translate(self.glob))
        for relative, item in sorted(self._local() if is_local(self.folder) else self._remote()):
            hidden = any(part.startswith(".") for part in relative.split("/"))
            if not hidden and wanted.match(relative):
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
        import fsspec

        try:
            fs, root = fsspec.core.url_to_fs(self.folder)
            found = fs.find(root, detail=True)
        except (OSError, ValueError, ImportError) as error:
            what = f"folder {self.folder} cannot be listed: {error}"
            raise InputError(what, STEP, "check the URL and its credentials") from error
        for path, info in found.items():
            item = Item(fs.unstrip_protocol(path), self.label(), self.licence, int(info.get("size") or 0))
            yield path[len(root) :].lstrip("/"), item


def _refuse(error: OSError) -> NoReturn:
    what = f"folder {error.filename} cannot be read: {error.strerror}"
    raise InputError(what, STEP, "make it readable, or leave it out with a glob") from error
