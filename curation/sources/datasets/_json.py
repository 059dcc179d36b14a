"""Where the records of a JSON file lie: an array of objects, or an object a line.

A file may be larger than the memory: one pass finds each record's bytes, and whoever works on one reads it
again from there. What cannot be parsed ends as one bad record, and the next one is found by how it begins.
"""

from __future__ import annotations

import codecs
import functools
import json
import re
import zipfile
from collections.abc import Iterator
from typing import Any, BinaryIO, NamedTuple

from curation.sources.datasets._sample import BAD_RECORD, Record, RecordError
from curation.sources.members import JsonRecord
from curation.stores import StoreError, asking, place

CHUNK_BYTES = 1 << 22
MAX_UNZIPPED = 1 << 28  # bytes; a shard of MMC4 has some millions
MAX_CHARACTERS = 1 << 24  # a longer record is none
_SPACE = re.compile(r"[\s,]*")
_BEGIN = r'\{\s*"(?:id|image|video|conversations|source|edit|img_path)"\s*:'  # until a record has been seen


class Found(NamedTuple):
    """A record's bytes, or what is wrong with them."""

    offset: int
    size: int
    problem: str | None = None


def find(file: BinaryIO) -> Iterator[Found]:
    """The records of a file, in order."""
    head = file.read(1 << 12).removeprefix(codecs.BOM_UTF8).lstrip()
    file.seek(0)
    return _array(file) if head.startswith(b"[") else _lines(file)


def load(at: JsonRecord) -> Record:
    """One record. Raises RecordError if it is no JSON object or cannot be read."""
    if at.file.endswith(".zip"):
        return parsed(unzipped(at.file)[at.offset : at.offset + at.size])
    try:
        with asking():
            fs, path = place(at.file)
            data = bytes(fs.cat_file(path, start=at.offset, end=at.offset + at.size))
    except StoreError as error:
        raise RecordError("missing", f"the annotations cannot be read: {error}") from error
    return parsed(data)


@functools.lru_cache(2)
def unzipped(file: str) -> bytes:
    """The only file of a small zip. Raises RecordError if it is no such."""
    try:
        with asking():
            fs, path = place(file)
            with fs.open(path, "rb") as raw, zipfile.ZipFile(raw) as archive:
                (member,) = (one for one in archive.infolist() if not one.is_dir())
                if member.file_size > MAX_UNZIPPED:
                    raise ValueError(f"{member.file_size:,} bytes: unzip it first")
                return archive.read(member)
    except StoreError as error:
        raise RecordError("broken_shard", f"{file} cannot be unzipped: {error}") from error


def parsed(data: bytes) -> Record:
    """A record from its bytes. Raises RecordError if they are no JSON object."""
    try:
        found: Any = json.loads(data.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise RecordError(BAD_RECORD, f"no JSON: {error}") from error
    if not isinstance(found, dict):
        raise RecordError(BAD_RECORD, f"no JSON object but {type(found).__name__}")
    return found


def _lines(file: BinaryIO) -> Iterator[Found]:
    offset = 0
    for line in file:
        lead = 3 if offset == 0 and line.startswith(codecs.BOM_UTF8) else 0
        if line.strip():
            size = len(line.rstrip()) - lead
            long = f"longer than {MAX_CHARACTERS:,} bytes" if size > MAX_CHARACTERS else None
            yield Found(offset + lead, size, long)
        offset += len(line)


def _array(file: BinaryIO) -> Iterator[Found]:
    text = _Text(file)
    text.skip(re.compile(r"\ufeff?\s*\["))
    decoder, begin = json.JSONDecoder(), re.compile(_BEGIN)
    while True:
        text.skip(_SPACE)
        if text.left == 0:
            if text.more():
                continue
            yield Found(text.offset, 0, "the file ends within its list")
            return
        if text.held[text.at] == "]":
            return
        try:
            record, end = decoder.raw_decode(text.held, text.at)
        except (json.JSONDecodeError, RecursionError) as error:
            if _cut_off(error, text) and text.more():
                continue
            start = text.offset
            text.pass_to(begin)
            yield Found(start, text.offset - start, f"no JSON: {error}")
            continue
        if isinstance(record, dict) and record:
            begin = re.compile(rf'\{{\s*"{re.escape(next(iter(record)))}"\s*:')
        start = text.offset
        text.advance(end)
        yield Found(start, text.offset - start)


def _cut_off(error: Exception, text: _Text) -> bool:
    """Whether a record may only go on beyond what has been read."""
    if not isinstance(error, json.JSONDecodeError) or text.left > MAX_CHARACTERS:
        return False
    return error.msg.startswith("Unterminated string") or error.pos >= len(text.held) - 16


class _Text:
    """A window on a file's text that knows at which byte it stands."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
        self._plain = True  # all of what is held is ASCII
        self.held, self.at, self.offset = "", 0, 0
        self.more()

    @property
    def left(self) -> int:
        """Characters that have been read and not passed."""
        return len(self.held) - self.at

    def more(self) -> bool:
        """Read on; False at the end."""
        data, new = b"more", ""
        while data and not new:  # a chunk may be part of one character
            data = self._file.read(CHUNK_BYTES)
            new = self._decoder.decode(data, final=not data)
        self._plain = new.isascii() and (self._plain or self.held[self.at :].isascii())
        self.held, self.at = self.held[self.at :] + new, 0
        return bool(new)

    def advance(self, end: int) -> None:
        """Go on to index `end` of what is held."""
        passed = end - self.at
        if not self._plain:
            passed = len(self.held[self.at : end].encode("utf-8", "surrogateescape"))
        self.at, self.offset = end, self.offset + passed

    def skip(self, pattern: re.Pattern[str]) -> None:
        """Pass what matches here."""
        if found := pattern.match(self.held, self.at):
            self.advance(found.end())

    def pass_to(self, begin: re.Pattern[str]) -> None:
        """Go on to the next place after this one where a record begins, or to the end."""
        self.advance(self.at + 1)
        while (found := begin.search(self.held, self.at)) is None:
            self.advance(len(self.held))
            if not self.more():
                return
        self.advance(found.start())
