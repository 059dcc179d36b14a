"""Where media comes from: a folder, a file, a list or a manifest of files, shards, a dataset, or the sample.

Every regular file that a source lists, every member of a shard that may be media, and every record of a
manifest is an input and ends as at least one row; whether it is an image or a video, its content says later.
Left out are hidden files and folders (a name that starts with a dot), linked folders, and what is no file at
all (sockets, pipes).
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from functools import partial
from typing import Annotated, Any

from pydantic import BeforeValidator, Discriminator, Tag
from pydantic_core import PydanticCustomError

from curation.errors import InputError
from curation.sources._guess import guess
from curation.sources._source import REPEATED, STEP, Item, absolute
from curation.sources.datasets import DatasetSource
from curation.sources.file import FileSource
from curation.sources.folder import FolderSource
from curation.sources.manifest import ManifestSource
from curation.sources.parquet import ParquetSource
from curation.sources.path_list import ListSource
from curation.sources.sample import SampleSource
from curation.sources.webdataset import WebDatasetSource
from curation.stores import is_local

__all__ = [
    "REPEATED",
    "DatasetSource",
    "FileSource",
    "FolderSource",
    "Item",
    "ListSource",
    "ManifestSource",
    "ParquetSource",
    "SampleSource",
    "Source",
    "WebDatasetSource",
    "from_string",
    "list_items",
]

_KEYS = ("folder", "file", "list", "manifest", "webdataset", "parquet", "dataset", "sample")
_WANTED = f"a source has one of {', '.join(f'{key}: PATH' for key in _KEYS[:-1])}, sample: true"


def _kind(value: Any) -> str | None:
    """Which source this is: the one of the four keys that it has."""
    has = value.__contains__ if isinstance(value, dict) else partial(hasattr, value)
    return next(filter(has, _KEYS), None)


def _has_kind(value: Any) -> Any:
    """Refuse what is no source, with the near match of a misspelt key."""
    if _kind(value) is not None:
        return value
    keys = [str(key) for key in value] if isinstance(value, dict) else []
    near = (difflib.get_close_matches(key, _KEYS, n=1, cutoff=0.6) for key in keys)
    found = next(((key, close[0]) for key, close in zip(keys, near, strict=True) if close), None)
    hint = f" ({found[0]!r}: did you mean {found[1]!r}?)" if found else ""
    raise PydanticCustomError("source", "{text}", {"text": _WANTED + hint})


Source = Annotated[
    Annotated[FolderSource, Tag("folder")]
    | Annotated[FileSource, Tag("file")]
    | Annotated[ListSource, Tag("list")]
    | Annotated[ManifestSource, Tag("manifest")]
    | Annotated[WebDatasetSource, Tag("webdataset")]
    | Annotated[ParquetSource, Tag("parquet")]
    | Annotated[DatasetSource, Tag("dataset")]
    | Annotated[SampleSource, Tag("sample")],
    Discriminator(_kind),
    BeforeValidator(_has_kind),
]


def from_string(text: str) -> Source:
    """The source that a command line means by a path or URL; `sample` is the sample.

    A table (.csv, .tsv, .jsonl, .parquet without media in it) is a manifest, a .tar a shard, a .parquet with
    media in it a shard, too; a folder or pattern of nothing else is all of them. Any other folder or file is
    itself. Raises InputError if there is nothing there.
    """
    if text == "sample":
        return SampleSource(sample=True)
    try:
        uri = absolute(text)
    except ValueError as error:
        raise InputError(f"the source cannot be used: {error}", STEP, "leave the password out") from error
    kind = guess(uri)
    made: Source = _SOURCES[kind].model_validate({kind: uri})
    return made


_SOURCES: dict[str, Any] = {
    **{"folder": FolderSource, "file": FileSource, "manifest": ManifestSource},
    **{"webdataset": WebDatasetSource, "parquet": ParquetSource},
}


def list_items(sources: Sequence[Source], out: str = "", limit: int | None = None) -> list[Item]:
    """All inputs of `sources`, each uri once, in the order of the sources and sorted inside each.

    What one source does not know of a file (its caption, its licence), a later one that lists it, too, may
    say. Files under `out`, the dataset itself, are no inputs. Raises InputError if a source is missing or
    empty.
    """
    items: dict[str, Item] = {}
    own = absolute(out).rstrip("/") + "/" if out else None
    for source in sources:
        listed = [item for item in source.items() if own is None or not item.uri.startswith(own)]
        if not listed:
            raise InputError(
                f"no files in {source.where()}", STEP, "check the path, and its glob if it has one"
            )
        for item in (item._replace(stamp=None) for item in listed) if source.rehash else listed:
            items[item.uri] = _joined(items[item.uri], item) if item.uri in items else item
    found = list(items.values())
    return found if limit is None else found[:limit]


def _joined(item: Item, again: Item) -> Item:
    return item._replace(caption=item.caption or again.caption, licence=item.licence or again.licence)


def local(uri: str) -> bool:
    """Whether a uri is a path on this machine."""
    return is_local(uri)
