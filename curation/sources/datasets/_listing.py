"""The records of a dataset as inputs: where each lies, and nothing of what it says."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator

from curation.errors import InputError
from curation.sources._files import expand, files_of
from curation.sources._inside import Root, root_of
from curation.sources._source import STEP, Item
from curation.sources.datasets import _json, _table
from curation.sources.datasets._sample import BAD_RECORD, Links, Record, RecordError, text_of
from curation.sources.members import json_record, manifest_line, records_of, table_record
from curation.stores import StoreError, asking, place

TO_CURATE = ("http://", "https://")
UNFETCHED = "not_downloaded"
NOT_BY_FILE = ("youtube.com", "youtu.be")  # their terms allow no downloads


def annotation_files(root: str, patterns: tuple[str, ...]) -> list[str]:
    """All files of the first pattern that matches any, sorted. Raises InputError if none does."""
    for pattern in patterns:
        found: list[str] = []
        for one in expand(f"{root.rstrip('/')}/{pattern}"):
            try:
                found += [file.uri for file in files_of(one, ()) if file.size is not None]
            except InputError:
                continue
        if found:
            return sorted(set(found))
    looked = ", ".join(patterns)
    raise InputError(f"no annotations in {root}", STEP, f"check the root; looked for {looked}")


def items(file: str, blank: Item) -> Iterator[Item]:
    """The records of one file of annotations, each as `blank` with its own uri."""
    beginning = records_of(file)
    if file.endswith(".parquet"):
        try:
            count = _table.count_rows(file)
        except Exception as error:  # noqa: BLE001 - a file that is broken is one error row, whatever it raises
            yield _broken(file, blank, error)
            return
        for row in range(count):
            yield blank._replace(uri=table_record(beginning, row))
        return
    source, licence, reader = blank.source, blank.licence, blank.reader
    for found in _records(file):
        uri = json_record(beginning, found.offset, found.size)
        if found.problem is None:
            yield Item(uri, source, licence, 0, None, None, None, reader)
        else:
            detail = f"byte {found.offset}: {found.problem}"
            yield blank._replace(uri=uri, problem=BAD_RECORD, detail=detail)


def links(file: str, reader: Links, root: str, blank: Item) -> Iterator[Item]:
    """What the records of one file name, as inputs to be curated."""
    wanted = [name for name in (reader.url, *reader.captions, reader.licence) if name]
    inside = root_of(root) if reader.local else None
    try:
        for number, record in enumerate(_link_records(file, wanted), 1):
            yield _link(file, number, record, reader, inside, blank)
    except (OSError, ValueError, StoreError) as error:
        yield _broken(file, blank, error)


def _link_records(file: str, wanted: list[str]) -> Iterator[Record | RecordError]:
    if file.endswith(".parquet"):
        yield from _table.rows(file, wanted)
        return
    with asking():
        fs, path = place(file)
        with fs.open(path, "rb") as opened:
            for line in opened:
                if line.strip():
                    try:
                        yield _json.parsed(line)
                    except RecordError as error:
                        yield error


def _link(
    file: str, number: int, record: Record | RecordError, reader: Links, root: Root | None, blank: Item
) -> Item:
    try:
        if isinstance(record, RecordError):
            raise record
        url = text_of(record, reader.url)
        caption = text_of(record, *reader.captions)
        own = text_of(record, reader.licence) if reader.licence else None
        licence = sys.intern(own) if own and own != "?" else blank.licence
        blank = blank._replace(caption=caption, licence=licence)
        for place_ in reader.local(record) if reader.local and root else ():
            found = root.find(place_) if root else None
            if found and found.problem is None and found.size:
                return blank._replace(uri=found.uri, size=found.size, reader=None)
        if not url or not url.startswith(TO_CURATE):
            raise RecordError(BAD_RECORD, f"no address of http or https in {reader.url!r}")
    except RecordError as error:
        place = manifest_line(file, number)
        return blank._replace(uri=place, problem=error.slug, detail=f"record {number}: {error.message}")
    host = url.split("/")[2].lower().removeprefix("www.")
    if host in NOT_BY_FILE:
        return blank._replace(
            uri=url, problem=UNFETCHED, detail=f"{host} does not allow downloads of its videos"
        )
    return blank._replace(uri=url)


def _records(file: str) -> Iterator[_json.Found]:
    try:
        if file.endswith(".zip"):
            yield from _json.find(io.BytesIO(_json.unzipped(file)))
            return
        with asking():
            fs, path = place(file)
            with fs.open(path, "rb") as opened:
                yield from _json.find(opened)
    except RecordError as error:
        yield _json.Found(0, 0, error.message)
    except StoreError as error:
        raise error.as_input_error(f"{file} cannot be read", STEP) from error


def _broken(file: str, blank: Item, error: Exception) -> Item:
    detail = f"{type(error).__name__}: {next(iter(str(error).splitlines()), '')}"
    return blank._replace(uri=manifest_line(file, 0), problem="broken_shard", detail=detail)
