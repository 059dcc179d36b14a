"""A file's bytes at hand: hashed as they stream by, and on this machine's disk while they are needed."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import stat
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from curation.errors import MediaError
from curation.sources import local
from curation.sources.datasets import DownloadConfig
from curation.sources.download import Downloader
from curation.sources.members import ParquetRow, TarMember, parse
from curation.steps.embedded import RowReader, tar_bytes
from curation.stores import Kind, StoreError, asking, info, place

CHUNK = 16 << 20  # bytes of a tar asked for in one go
ATTEMPTS = 3  # at a file whose store does not answer, or hands over less than it announced
WAIT_SECONDS = 1.0  # before the second attempt; then twice as long
DOWN_SECONDS = (
    30.0  # in which a store that did not answer is not asked again: or an outage costs minutes a file
)
WEB = ("http://", "https://")
_down_until: dict[str, float] = {}  # by bucket or server; monotonic seconds
_SLUGS: dict[Kind, str] = {"unreachable": "unreachable"}  # others: missing


class Fetched(NamedTuple):
    """A readable file and the hash of all its bytes."""

    path: Path
    sha256: str


@contextlib.contextmanager
def fetched(uri: str, downloads: str | None = None) -> Iterator[Fetched]:
    """The file at `uri`, read once; what is no file of this machine is copied here and removed afterwards.

    From the web, politely, where `downloads` says how (JSON of a DownloadConfig).

    Raises MediaError: "missing" if it cannot be read, "unreachable" or "incomplete" after several attempts if
    its store does not answer or breaks off, "no_media" or "broken_shard" of a shard.
    """
    if local(uri):
        yield Fetched(Path(uri), _hash_local(uri))
        return
    with tempfile.TemporaryDirectory(prefix="omnivideo-") as folder:
        path = Path(folder, "media")  # not its own name: that may be anything, and what it is its bytes say
        if downloads is not None and uri.startswith(WEB):
            yield Fetched(*_downloader(downloads).fetch(uri, path))
            return
        yield Fetched(path, _patiently(uri, path))


def _hash_local(uri: str) -> str:
    try:
        if not stat.S_ISREG(os.stat(uri).st_mode):  # a pipe would never end
            raise MediaError("missing", "no regular file")
        with open(uri, "rb") as source:
            return hashlib.file_digest(source, "sha256").hexdigest()
    except OSError as error:
        raise MediaError("missing", f"{type(error).__name__}: {error}") from error


def _patiently(uri: str, path: Path) -> str:
    """Copy to `path`, again if that may help; return the hash."""
    if time.monotonic() < _down_until.get(_host(uri), 0.0):
        raise MediaError("unreachable", f"{_host(uri)} did not answer a moment ago")
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return _copy(uri, path)
        except StoreError as error:
            if error.kind in ("missing", "denied") or attempt == ATTEMPTS:
                if error.kind == "unreachable":
                    _down_until[_host(uri)] = time.monotonic() + DOWN_SECONDS
                raise MediaError(_SLUGS.get(error.kind, "missing"), str(error)) from error
        except MediaError as error:
            if error.slug != "incomplete" or attempt == ATTEMPTS:
                raise
        time.sleep(WAIT_SECONDS * 2 ** (attempt - 1))
    raise AssertionError("unreachable")


def _host(uri: str) -> str:
    """The bucket or server of a URL, or of the shard that it lies in."""
    inside = parse(uri)
    scheme, _, rest = (inside.file if inside else uri).partition("://")
    return f"{scheme}://{rest.partition('/')[0]}"


def _copy(uri: str, path: Path) -> str:
    inside = parse(uri)
    length = _download(uri, path) if inside is None else _extract(inside, path)
    count = path.stat().st_size
    if length is not None and count != length:
        raise MediaError("incomplete", f"{count} of {length} bytes came")
    return _hash_local(str(path))


def _download(uri: str, path: Path) -> int | None:
    """Copy a file; return the length that its store announces."""
    at = place(uri)
    told = info(at)
    if told is None:
        raise MediaError("missing", f"there is nothing at {uri}")
    with asking():
        at.fs.get_file(at.path, str(path))
    return None if told.get("size") is None else int(told["size"])


def _extract(inside: TarMember | ParquetRow, path: Path) -> int:
    """Copy media out of a larger file; return the length that it is to have."""
    if isinstance(inside, ParquetRow):
        value = _rows().read(inside)
        return path.write_bytes(value)
    with path.open("wb") as target:
        for chunk in tar_bytes(inside, CHUNK):
            target.write(chunk)
    return inside.size


@functools.lru_cache(8)
def _downloader(config: str) -> Downloader:
    """One a process and recipe: it remembers each site's rules."""
    return Downloader(DownloadConfig.model_validate_json(config))


@functools.cache
def _rows() -> RowReader:
    """One a process: a worker reads row after row of the same file."""
    return RowReader()
