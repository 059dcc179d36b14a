"""A file's bytes at hand: hashed as they stream by, and on this machine's disk while they are needed."""

from __future__ import annotations

import contextlib
import hashlib
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

from curation.errors import MediaError
from curation.sources import local

CHUNK = 4 << 20


class Fetched(NamedTuple):
    """A readable file and the hash of all its bytes."""

    path: Path
    sha256: str


@contextlib.contextmanager
def fetched(uri: str) -> Iterator[Fetched]:
    """The file at `uri`, read once; what is not on this machine is copied here and removed afterwards.

    Raises MediaError("missing") if it cannot be read.
    """
    if local(uri):
        yield Fetched(Path(uri), _hash_local(uri))
        return
    with tempfile.TemporaryDirectory(prefix="omnivideo-") as folder:
        path = Path(folder, Path(uri).name)
        yield Fetched(path, _download(uri, path))


def _hash_local(uri: str) -> str:
    try:
        with open(uri, "rb") as source:
            return hashlib.file_digest(source, "sha256").hexdigest()
    except OSError as error:
        raise _unreadable(error) from error


def _download(uri: str, path: Path) -> str:
    import fsspec

    try:
        with fsspec.open(uri, "rb") as source, path.open("wb") as target:
            return _copy(source, target)
    except (OSError, ValueError, ImportError) as error:
        raise _unreadable(error) from error


def _copy(source: BinaryIO, target: BinaryIO) -> str:
    digest = hashlib.sha256()
    while chunk := source.read(CHUNK):
        digest.update(chunk)
        target.write(chunk)
    return digest.hexdigest()


def _unreadable(error: Exception) -> MediaError:
    return MediaError("missing", f"{type(error).__name__}: {error}")
