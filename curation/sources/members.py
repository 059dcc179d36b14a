"""Names of media inside larger files, which say where it lies: reading one needs no look at the others.

    tar+s3://bucket/000.tar#offset=000000001536,size=000000048213/clips/0001.mp4
    parquet+file:///data/train.parquet#row=000000017,column=image
    manifest+file:///data/list.csv#line=000000007  (a record that cannot be used)
    record+file:///data/mix.json#offset=000000001536,size=000000000820  (an annotation, of JSON)
    record+file:///data/train.parquet#row=000000000017  (of Parquet)

Numbers have leading zeros, so that names sort as the media lies. In the file's own part `%` and `#` are
written as in URLs, so that no name can be read in two ways.
"""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import unquote

from curation.stores import is_local

_NAME = re.compile(r"(tar|parquet|manifest)\+([^#]*)#(.*)", re.DOTALL)
_TAR = re.compile(r"offset=(\d+),size=(\d+)/(.*)", re.DOTALL)
_ROW = re.compile(r"row=(\d+),column=(.*)", re.DOTALL)
_RECORD = re.compile(r"record\+([^#]*)#(?:offset=(\d+),size=(\d+)|row=(\d+))")


class TarMember(NamedTuple):
    """`size` bytes from `offset` on, of a tar."""

    file: str  # path or URL
    offset: int
    size: int
    name: str


class ParquetRow(NamedTuple):
    """One value of a column of bytes; rows count from 0 through the whole file."""

    file: str  # path or URL
    row: int
    column: str


class JsonRecord(NamedTuple):
    """`size` bytes of JSON from `offset` on."""

    file: str  # path or URL
    offset: int
    size: int


class TableRecord(NamedTuple):
    """A row of a Parquet file, counted from 0 through the whole file."""

    file: str  # path or URL
    row: int


def tar_member(file: str, offset: int, size: int, name: str) -> str:
    """The uri of a member; `name` as it can be shown."""
    return f"tar+{_file(file)}#offset={offset:012d},size={size:012d}/{name}"


def parquet_row(file: str, row: int, column: str) -> str:
    """The uri of a row's media."""
    return f"parquet+{_file(file)}#row={row:012d},column={column}"


def manifest_line(file: str, line: int) -> str:
    """The uri of a line (or row, from 1) that names no file that could be read."""
    return f"manifest+{_file(file)}#line={line:012d}"


def records_of(file: str) -> str:
    """How the uris of a file's records begin."""
    return f"record+{_file(file)}#"


def json_record(beginning: str, offset: int, size: int) -> str:
    """The uri of an annotation in JSON; `beginning` is `records_of` its file."""
    return f"{beginning}offset={offset:012d},size={size:012d}"


def table_record(beginning: str, row: int) -> str:
    """The uri of an annotation in Parquet; `beginning` is `records_of` its file."""
    return f"{beginning}row={row:012d}"


def parse_record(uri: str) -> JsonRecord | TableRecord | None:
    """Where an annotation is; None for any other uri."""
    found = _RECORD.fullmatch(uri)
    if found is None:
        return None
    file = unquote(found[1]).removeprefix("file://")
    return TableRecord(file, int(found[4])) if found[4] else JsonRecord(file, int(found[2]), int(found[3]))


def parse(uri: str) -> TarMember | ParquetRow | None:
    """Where media inside a larger file is; None for the uri of a file of its own."""
    found = _NAME.fullmatch(uri)
    if found is None:
        return None
    kind, file, place = found[1], unquote(found[2]).removeprefix("file://"), found[3]
    if kind == "tar" and (member := _TAR.fullmatch(place)):
        return TarMember(file, int(member[1]), int(member[2]), member[3])
    if kind == "parquet" and (row := _ROW.fullmatch(place)):
        return ParquetRow(file, int(row[1]), row[2])
    return None


def shown(name: str) -> str:
    """A name from elsewhere with what is no printable text escaped."""
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in name)


def _file(file: str) -> str:
    url = f"file://{file}" if is_local(file) else file
    return url.replace("%", "%25").replace("#", "%23")
