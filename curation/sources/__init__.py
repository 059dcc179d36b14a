"""Where media comes from: a folder, a file, a list of paths, or the sample of real media.

Every regular file that a source lists is an input and ends as at least one row; whether it is an image or a
video, its content says later. Left out are hidden files and folders (a name that starts with a dot), linked
folders, and what is no file at all (sockets, pipes).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Annotated, Any

from pydantic import Discriminator, Tag

from curation.errors import InputError
from curation.sources._source import STEP, Item, absolute, is_local
from curation.sources.file import FileSource
from curation.sources.folder import FolderSource
from curation.sources.manifest import ListSource
from curation.sources.sample import SampleSource

__all__ = [
    "FileSource",
    "FolderSource",
    "Item",
    "ListSource",
    "SampleSource",
    "Source",
    "from_string",
    "list_items",
]

_KEYS = ("folder", "file", "list", "sample")


def _kind(value: Any) -> str | None:
    """Which source this is: the one of the four keys that it has."""
    has = value.__contains__ if isinstance(value, dict) else partial(hasattr, value)
    return next(filter(has, _KEYS), None)


Source = Annotated[
    Annotated[FolderSource, Tag("folder")]
    | Annotated[FileSource, Tag("file")]
    | Annotated[ListSource, Tag("list")]
    | Annotated[SampleSource, Tag("sample")],
    Discriminator(
        _kind,
        custom_error_type="source",
        custom_error_message="a source has one of folder: PATH, file: PATH, list: PATH, sample: true",
    ),
]


def from_string(text: str) -> Source:
    """The source that a command line means by a path or URL: a folder or a file; `sample` is the sample.

    Raises InputError if there is nothing there.
    """
    if text == "sample":
        return SampleSource(sample=True)
    import fsspec

    uri = absolute(text)
    try:
        fs, path = fsspec.core.url_to_fs(uri)
        found = "folder" if fs.isdir(path) else "file" if fs.exists(path) else None
    except (OSError, ValueError, ImportError) as error:
        raise InputError(f"{uri} cannot be opened: {error}", STEP, "check the path or URL") from error
    if found is None:
        raise InputError(f"no such file or folder: {uri}", STEP, "check the path")
    return FolderSource(folder=uri) if found == "folder" else FileSource(file=uri)


def list_items(sources: Sequence[Source], out: str = "", limit: int | None = None) -> list[Item]:
    """All inputs of `sources`, each uri once, in the order of the sources and sorted inside each.

    Files under `out`, the dataset itself, are no inputs. Raises InputError if a source is missing or empty.
    """
    items: dict[str, Item] = {}
    own = absolute(out).rstrip("/") + "/" if out else None
    for source in sources:
        listed = [item for item in source.items() if own is None or not item.uri.startswith(own)]
        if not listed:
            raise InputError(
                f"no files in {source.where()}", STEP, "check the path, and its glob if it has one"
            )
        for item in listed:
            items.setdefault(item.uri, item)
    found = list(items.values())
    return found if limit is None else found[:limit]


def local(uri: str) -> bool:
    """Whether a uri is a path on this machine."""
    return is_local(uri)
