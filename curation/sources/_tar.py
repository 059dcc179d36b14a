"""Walking a tar by its headers: what is in it and where, without reading the contents.

Source: POSIX.1-1988 (ustar) and POSIX.1-2001 (pax), and GNU's long names. Python's own reader takes a broken
header in the middle for the end of the archive, and what follows it is lost without a word.
"""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from typing import BinaryIO, Literal, NamedTuple

BLOCK = 512
MAX_EXTENDED = 1 << 20  # bytes of one extended header, which holds names
MAX_REST = 1 << 20  # bytes of zeros after the end mark: tars are padded to a record of 10 KiB as a rule
_PAX, _GLOBAL, _LONG_NAME, _LONG_LINK = b"x", b"g", b"L", b"K"
_EXTENDED = (_PAX, _GLOBAL, _LONG_NAME, _LONG_LINK, b"X")
_LINKS = {tarfile.LNKTYPE: "a hard link", tarfile.SYMTYPE: "a symbolic link"}


class Member(NamedTuple):
    """What a header says."""

    name: str  # surrogates where it is not UTF-8
    offset: int  # of its contents
    size: int  # bytes
    kind: Literal["file", "folder", "other"]
    what: str = ""  # of the kind other


class BrokenTarError(Exception):
    """The walk cannot go on; all members before have been told. `offset`: where."""

    def __init__(self, offset: int, message: str) -> None:
        super().__init__(f"at byte {offset}: {message}")
        self.offset = offset


def walk(file: BinaryIO, length: int) -> Iterator[Member]:
    """All members of a tar of `length` bytes that are whole. Raises BrokenTarError where it breaks off."""
    at, more = 0, dict[str, str]()
    while True:
        block = _read(file, at, BLOCK)
        if not block.strip(b"\0"):
            _check_end(file, at, length, whole=len(block) == BLOCK)
            return
        head = _header(block, at)
        start = at + BLOCK
        size = _size(head, more, at)
        if start + size > length:
            raise BrokenTarError(at, f"{head.name!r} is cut: {length - start} of its {size} bytes are there")
        at = start + -(-size // BLOCK) * BLOCK
        if head.type in _EXTENDED:
            more |= _extended(head.type, _read(file, start, size), start)
            continue
        yield _member(head, more, start, size)
        more = {}


def check_header(block: bytes, size: int) -> bool:
    """Whether these 512 bytes are the header of a plain file of so many bytes."""
    try:
        head = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except tarfile.HeaderError:
        return False
    return head.isreg() and head.size in (size, 0)  # of huge files the size may stand in the pax header only


def _read(file: BinaryIO, at: int, count: int) -> bytes:
    file.seek(at)
    return file.read(count)


def _header(block: bytes, at: int) -> tarfile.TarInfo:
    if len(block) < BLOCK:
        raise BrokenTarError(at, "it ends in the middle of a header")
    try:
        return tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except (tarfile.HeaderError, ValueError) as error:
        raise BrokenTarError(at, f"no header of a member: {error}") from error


def _size(head: tarfile.TarInfo, more: dict[str, str], at: int) -> int:
    if head.type in _EXTENDED:
        size = head.size
        if size > MAX_EXTENDED:
            raise BrokenTarError(at, f"an extended header of {size} bytes")
    elif head.type == tarfile.GNUTYPE_SPARSE or any(key.startswith("GNU.sparse") for key in more):
        raise BrokenTarError(at, f"{head.name!r} is sparse")
    elif head.type in _LINKS or head.type in (tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE):
        size = 0
    else:
        told = more.get("size", str(head.size))
        size = int(told) if told.isascii() and told.isdigit() and len(told) < 19 else -1
    if size < 0:
        raise BrokenTarError(at, f"{head.name!r} has no valid size")
    return size


def _extended(kind: bytes, data: bytes, at: int) -> dict[str, str]:
    """What an extended header says of the next member."""
    if kind == _LONG_NAME:
        return {"path": data.rstrip(b"\0").decode("utf-8", "surrogateescape")}
    if kind != _PAX:
        return {}
    found = {}
    while data.strip(b"\0"):
        digits, _, _ = data.partition(b" ")
        length = int(digits) if digits.isdigit() and len(digits) < 8 else 0
        key, equals, value = data[len(digits) + 1 : length - 1].partition(b"=")
        if not equals or data[length - 1 : length] != b"\n":
            raise BrokenTarError(at, "an extended header that cannot be read")
        found[key.decode("utf-8", "replace")] = value.decode("utf-8", "surrogateescape")
        data = data[length:]
    return found


def _member(head: tarfile.TarInfo, more: dict[str, str], start: int, size: int) -> Member:
    name = more.get("path", head.name)
    if head.isdir():
        return Member(name, start, size, "folder")
    if head.isreg():
        return Member(name, start, size, "file")
    return Member(name, start, size, "other", _LINKS.get(head.type, "a device or something else"))


def _check_end(file: BinaryIO, at: int, length: int, whole: bool) -> None:
    """A tar ends with blocks of zeros. One without has been cut, or so it may be."""
    if not whole:
        raise BrokenTarError(at, "it ends without an end mark: members may be missing")
    if length - at > MAX_REST or _read(file, at, MAX_REST).strip(b"\0"):
        raise BrokenTarError(at, "something follows the end mark: is it several tars in one?")
