"""What a path on the command line is meant for: told by its name, and of Parquet by what is in it."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from itertools import islice

from curation.errors import InputError
from curation.sources._files import files_of
from curation.sources._parquet_file import opened, unusable
from curation.sources._records import format_of
from curation.sources._source import STEP
from curation.sources.parquet import media_columns
from curation.stores import Place, StoreError, asking, info, place

LOOK_AT = 1000  # files of a folder
# What stands beside shards and is no media.
BESIDE = (
    ".md",
    ".txt",
    ".json",
    ".yaml",
    ".yml",
    ".idx",
    ".index",
    ".lock",
    ".sha256",
    "LICENSE",
    "_SUCCESS",
)
NO_FILE = "no such file or folder"


def guess(uri: str) -> str:
    """The key of the source that a path or URL is meant for. Raises InputError if there is nothing there."""
    try:
        at = place(uri)
        told = info(at)
        if told is not None and told["type"] == "directory":
            return _of_folder(uri, at)
    except StoreError as error:
        raise error.as_input_error(f"{uri} cannot be opened", STEP) from error
    if told is None:
        return _of_pattern(uri)
    return _of_file(uri)


def _of_file(uri: str) -> str:
    lower = uri.lower()
    if lower.endswith((".tar", ".tar.gz", ".tgz")):
        return "webdataset"  # which says of a compressed one what to do
    if lower.endswith(".parquet"):
        return "parquet" if _holds_media(uri) else "manifest"
    return "manifest" if format_of(uri) else "file"


def _of_pattern(uri: str) -> str:
    """Of a pattern, what the first of its files is."""
    if not any(sign in uri for sign in "*?[{"):
        raise InputError(f"{NO_FILE}: {uri}", STEP, "check the path")
    found = next(file.uri for file in files_of(uri, ()) if file.size is not None)
    kind = _of_file(found)
    if kind == "file":
        what = f"{uri} is a pattern of files that are no shards and no manifests"
        raise InputError(what, STEP, "give the folder; a recipe's source can have a glob")
    return kind


def _of_folder(uri: str, at: Place) -> str:
    """A folder of shards or tables and nothing else is what they are; any other is a folder of media."""
    with asking():
        names = list(islice(_names(at), LOOK_AT))
    kinds = Counter(os.path.splitext(name)[1].lower() for name in names if not name.endswith(BESIDE))
    if ".tar" in kinds and kinds.keys() <= {".tar", ".parquet"}:  # img2dataset puts a table beside each tar
        return "webdataset"
    if kinds.keys() == {".parquet"}:
        return _of_file(next(file.uri for file in files_of(uri, (".parquet",))))
    tables = {ending for ending in kinds if format_of(f"x{ending}")}
    return "manifest" if kinds and kinds.keys() == tables else "folder"


def _names(at: Place) -> Iterator[str]:
    for folder, _, files in at.fs.walk(at.path):
        hidden = any(part.startswith(".") for part in folder[len(at.path) :].split("/"))
        yield from (name for name in files if not hidden and not name.startswith("."))


def _holds_media(uri: str) -> bool:
    """Whether a Parquet file has a column of bytes."""
    try:
        with opened(uri) as file:
            return bool(media_columns(file.schema_arrow))
    except (OSError, ValueError, StoreError) as error:
        raise unusable(uri, error) from error
