"""Media that a dataset has the address of: downloaded once, for judging and for cutting.

What was downloaded is staged with its address; a run that goes on after a kill, or finds an address among its
published rows, does not ask for it again.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa

from curation.steps.fetch import WEB, Fetched
from curation.store.staging import Staging

DOWNLOAD = "download"  # the stage with the bytes of what is kept, by their hash
LINK = "link"  # the stage with the hash of each address, by the hash of the address
KNOWN_LINKS = "links"  # the stage with the addresses of published rows that stand, by version


def stage_known(staging: Staging, name: str, rows: Iterable[Mapping[str, Any]]) -> None:
    """Stage the addresses of published rows."""
    told = [(row["uri"], row["source_sha256"]) for row in rows if row["uri"].startswith(WEB)]
    schema = pa.schema([("uri", pa.string()), ("sha256", pa.string())])
    listed = [dict(zip(schema.names, one, strict=True)) for one in told]
    staging.write(KNOWN_LINKS, name, pa.Table.from_pylist(listed, schema=schema))


class Links:
    """Addresses that have been asked for."""

    def __init__(self, staging: Staging, known: str | None) -> None:
        self._staging = staging
        self._published: dict[str, str] = {}
        if known and staging.has(KNOWN_LINKS, known):
            (table,) = staging.read(KNOWN_LINKS, [known])
            self._published = dict(zip(table["uri"].to_pylist(), table["sha256"].to_pylist(), strict=True))

    def published(self, uri: str) -> str | None:
        """The hash of what is published of an address."""
        return self._published.get(uri)

    def staged(self, uri: str) -> str | None:
        """The hash of what this run, before it was killed, has downloaded and judged."""
        name = _name(uri)
        if not self._staging.has(LINK, name):
            return None
        (table,) = self._staging.read(LINK, [name])
        return str(table["sha256"][0].as_py())

    def keep(self, uri: str, file: Fetched, kept: bool) -> None:
        """Stage what was downloaded: its bytes, if some of it is kept, and then its address."""
        if kept and not self._staging.has(DOWNLOAD, file.sha256):
            self._staging.write(DOWNLOAD, file.sha256, pa.table({"media": [file.path.read_bytes()]}))
        self._staging.write(LINK, _name(uri), pa.table({"sha256": [file.sha256]}))


@contextmanager
def downloaded(staging: Staging, sha256: str) -> Iterator[Fetched]:
    """The staged bytes with a hash, as a file."""
    with tempfile.TemporaryDirectory(prefix="omnivideo-") as folder:
        (table,) = staging.read(DOWNLOAD, [sha256])
        path = Path(folder, "media")
        path.write_bytes(table["media"][0].as_py())
        yield Fetched(path, sha256)


def _name(uri: str) -> str:
    return hashlib.sha256(uri.encode()).hexdigest()
