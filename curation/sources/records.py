"""One record of a dataset at a time: what it says, and where the media is that it names."""

from __future__ import annotations

import functools

from curation.sources._source import Item
from curation.sources.datasets import _json, reader_of
from curation.sources.datasets._finder import Finder
from curation.sources.datasets._sample import RecordError, Ref, Sample
from curation.sources.datasets._table import TableReader
from curation.sources.members import JsonRecord, TableRecord, parse_record

__all__ = ["Loader", "RecordError", "Sample"]


class Loader:
    """Reads records for one worker; at best in their order."""

    def __init__(self) -> None:
        self._tables = TableReader()

    def load(self, item: Item) -> Sample:
        """What a record says. Raises RecordError if it does not hold together, or cannot be read."""
        at, (name, _, _) = _place(item), _origin(item)
        record = self._tables.load(at) if isinstance(at, TableRecord) else _json.load(at)
        read = reader_of(name).read
        assert read is not None  # links are no records
        return read(record)

    def find(self, item: Item, ref: Ref) -> str:
        """The uri of media that a record names. Raises RecordError if it is nowhere."""
        name, root, _ = _origin(item)
        try:
            return _finder(root, reader_of(name).folders, _place(item).file.rpartition("/")[0]).find(
                ref.entry
            )
        except RecordError:
            if ref.url is None:
                raise
            return ref.url


def _origin(item: Item) -> tuple[str, str, str]:
    assert item.reader is not None
    return item.reader


def _place(item: Item) -> JsonRecord | TableRecord:
    at = parse_record(item.uri)
    assert at is not None
    return at


@functools.lru_cache(64)
def _finder(root: str, folders: tuple[str, ...], beside: str) -> Finder:
    """Of the media of one file of annotations, which may lie beside it, too."""
    within = beside.startswith(f"{root.rstrip('/')}/")
    inside = beside.removeprefix(root.rstrip("/")).strip("/") if within else ""
    more = tuple(f"{inside}/{folder}".rstrip("/") for folder in folders) if inside else ()
    return Finder(root, tuple(dict.fromkeys((*folders, *more))))
