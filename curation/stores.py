"""Storage other than this machine's disk: which file system a URL means, and what its errors mean.

Credentials, regions and endpoints come from where the AWS tools have them (AWS_ACCESS_KEY_ID and its like,
AWS_PROFILE, AWS_ENDPOINT_URL, ~/.aws) and, for any other store, from what its fsspec implementation reads;
never from a recipe. Workers read them on their own node.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal, NamedTuple

from curation.errors import InputError

Kind = Literal["missing", "denied", "unreachable", "failed"]

# No folders in them: making one would at best do nothing, and at worst make a bucket that was misspelt.
OBJECT_STORES = frozenset({"s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "adl", "oss", "r2"})
# Every store's client has exceptions of its own, which are no OSError; they are told apart by name.
_DENIED = ("PermissionError", "NoCredentialsError", "PartialCredentialsError", "CredentialRetrievalError")
_UNREACHABLE = (
    *("ConnectionError", "ClientConnectionError", "ClientPayloadError", "TimeoutError", "gaierror"),
    *("ConnectTimeoutError", "ReadTimeoutError", "HTTPClientError", "ServerDisconnectedError"),
)
_NEXT: dict[Kind, str] = {
    "missing": "check the bucket's name and the path",
    "denied": "give the credentials in use (AWS_ACCESS_KEY_ID, AWS_PROFILE, ...) the right to it",
    "unreachable": "check the network and AWS_ENDPOINT_URL, then run the same command again",
    "failed": "check the path or URL",
}


class Place(NamedTuple):
    """A path in a file system of fsspec's."""

    fs: Any
    path: str


class StoreError(Exception):
    """A store did not do what it was asked. `str` has the class and the message of what was behind it."""

    def __init__(self, kind: Kind, message: str) -> None:
        super().__init__(message)
        self.kind = kind

    def __reduce__(self) -> tuple[type[StoreError], tuple[Kind, str]]:
        return type(self), (self.kind, str(self))

    def as_input_error(self, what: str, step: str, next_step: str | None = None) -> InputError:
        """The error as one line for the user: `what` has failed, and why."""
        return InputError(f"{what}: {self}", step, next_step or _NEXT[self.kind])


def is_local(uri: str) -> bool:
    """Whether a uri is a path on this machine."""
    return "://" not in uri


def scheme_of(uri: str) -> str:
    """What stands before `://`; `file` for a path."""
    return "file" if is_local(uri) else uri.partition("://")[0]


def place(uri: str) -> Place:
    """Where a path or URL is. Raises StoreError if nothing reads such URLs.

    Only a URL that begins with an archive or a cache is taken for a chain of URLs: in a bucket, `::` is part
    of a key, and a key is not to name another place.
    """
    import fsspec
    from fsspec.archive import AbstractArchiveFileSystem
    from fsspec.asyn import AsyncFileSystem

    if is_local(uri):
        return Place(fsspec.filesystem("file"), uri)
    with asking():
        scheme = scheme_of(uri)
        if "::" in scheme or issubclass(
            found := fsspec.get_filesystem_class(scheme), AbstractArchiveFileSystem
        ):
            return Place(*fsspec.core.url_to_fs(uri))
        # What others have written in the meantime is to be seen: a run looks again at what it staged.
        fresh = {"use_listings_cache": False} if issubclass(found, AsyncFileSystem) else {}
        fs = fsspec.filesystem(scheme, **found._get_kwargs_from_urls(uri), **fresh)
        if getattr(fs, "session", fs) is None:
            fs.session = _unhesitating_session(fs.kwargs)
        return Place(fs, str(found._strip_protocol(uri)))


def _unhesitating_session(options: Mapping[str, Any]) -> Any:
    """A session of S3's client that sends what it writes without asking first.

    Asked to, aiohttp waits for the store's `100 Continue` without any timeout: a store that stalls in that
    moment would hang a run for ever.
    """
    from aiobotocore.session import AioSession  # type: ignore[import-untyped]
    from botocore.handlers import add_expect_header

    session = AioSession(**options)
    session.unregister("before-call.s3", add_expect_header)
    return session


def info(at: Place) -> dict[str, Any] | None:
    """What a store says of a path; None if there is nothing. Raises StoreError if it cannot be asked.

    fsspec's own `isfile` and `exists` take whatever goes wrong for a no.
    """
    with asking():
        try:
            return dict(at.fs.info(at.path))
        except (FileNotFoundError, NotADirectoryError) as error:
            if "bucket" in str(error):  # nothing at all is there: worth more than "no such file"
                raise
            return None


def make_folder(uri: str, at: Place) -> None:
    """Make a folder and those above it, where the store has such."""
    if scheme_of(uri) not in OBJECT_STORES:
        at.fs.makedirs(at.path, exist_ok=True)


@contextmanager
def asking() -> Iterator[None]:
    """Run calls of a file system; whatever they raise comes out as StoreError."""
    try:
        yield
    except StoreError:
        raise
    except Exception as error:
        raise StoreError(_kind(error), _said(error)) from error


def delta_options(uri: str, environment: Mapping[str, str] = os.environ) -> dict[str, str] | None:
    """What Delta Lake's own S3 client does not take from the environment as the other one does."""
    if scheme_of(uri) not in ("s3", "s3a"):
        return None
    endpoint = environment.get("AWS_ENDPOINT_URL_S3") or environment.get("AWS_ENDPOINT_URL")
    region = environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION")
    options = {"AWS_ENDPOINT_URL": endpoint} if endpoint else {}
    if endpoint and endpoint.startswith("http://"):
        options["AWS_ALLOW_HTTP"] = "true"
    return options | ({"AWS_REGION": region} if region else {})


def plain(error: Exception) -> str:
    """The message of Delta Lake's client, which comes in several lines and colours, in one line."""
    lines = re.sub(r"\x1b\[\d*m", "", str(error)).splitlines()
    return ": ".join(line.strip(" \t\u21b3") for line in lines if line.strip())


def _kind(error: Exception) -> Kind:
    names = {kind.__name__ for kind in type(error).__mro__}
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return "missing"
    if names.intersection(_DENIED):
        return "denied"
    return "unreachable" if names.intersection(_UNREACHABLE) else "failed"


def _said(error: Exception) -> str:
    first = next(iter(str(error).splitlines()), "")
    return f"{type(error).__name__}: {first}" if first else type(error).__name__
