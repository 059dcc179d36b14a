"""Tar shards as WebDataset has them: files that share a key are one sample."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from pydantic import Field

from curation.errors import InputError
from curation.media.probe import HEAD_BYTES, kind_of
from curation.sources import _tar as tar
from curation.sources._columns import TextColumns, text, texts
from curation.sources._files import File, Locations, files_of, shown
from curation.sources._source import STEP, Item, SourceConfig
from curation.sources.members import shown as printable
from curation.sources.members import tar_member
from curation.stores import StoreError, asking, is_local, place

BAD_MEMBER, BAD_RECORD, BROKEN, NO_MEDIA = "bad_member", "bad_record", "broken_shard", "no_media"
READERS = 8  # shards listed at once
BLOCK_BYTES = 1 << 18  # read ahead of a remote shard: small members come along with the headers
MAX_TEXT = 1 << 20  # bytes of a caption or of a sample's JSON
MEDIA = frozenset(
    """
    jpg jpeg png webp gif tif tiff bmp avif ppm mp4 m4v mov mkv webm avi mpg mpeg ts flv ogv wmv asf mxf y4m
    """.split()  # noqa: SIM905 - a quarter of the lines
)
# Never media, so that nobody has to look into them.
OTHER = frozenset(
    """
    txt json cls id idx index npy npz pth pt pkl pickle safetensors msgpack csv wav flac mp3 yaml md xml
    """.split()  # noqa: SIM905
)
COMPRESSED = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd", b"BZh": "bzip2", b"\xfd7zXZ": "xz"}


class WebDatasetSource(SourceConfig):
    """Every image and video in tar shards, each an input of its own; captions from .txt, or a field of .json.

    What a member is, its extension says, or its first bytes. Links, devices and names that lead out of the
    shard are error rows, and so is the place where a shard breaks off; what comes before it is used.
    """

    webdataset: Locations = Field(
        description="path or fsspec URL: a tar, several, a glob, a folder, or shards-{000..010}.tar"
    )
    columns: TextColumns = TextColumns()

    def where(self) -> str:
        """The shards."""
        return shown(self.webdataset)

    def items(self) -> Iterator[Item]:
        """All media of all shards, sorted. Raises InputError if there is none."""
        shards = files_of(self.webdataset, (".tar",))
        with ThreadPoolExecutor(READERS) as threads:
            listed = list(threads.map(self._shard, shards))
        fields = {name for _, seen in listed for name in seen}
        if fields:
            self.columns.roles(fields, f"the .json files of {self.where()}")
        items = {item.uri: item for found, _ in listed for item in found}
        problems = [item for item in items.values() if item.problem]
        if problems and len(problems) == len(items):
            what = f"no media in {self.where()}: {problems[0].detail}"
            raise InputError(what, STEP, "check that these are plain tars with images or videos in them")
        yield from (items[uri] for uri in sorted(items))

    def _shard(self, shard: File) -> tuple[list[Item], set[str]]:
        """The inputs of one shard, and the fields of its JSON."""
        if shard.size is None:
            return [self._problem(shard.uri, 0, "", "missing", "no such shard")], set()
        try:
            with asking():
                fs, path = place(shard.uri)
                block = {} if is_local(shard.uri) else {"block_size": BLOCK_BYTES}
                with fs.open(path, "rb", **block) as file:
                    return _Shard(self, shard.uri, file, shard.size).listed()
        except StoreError as error:
            raise error.as_input_error(f"{shard.uri} cannot be read", STEP) from error

    def _problem(self, uri: str, offset: int, name: str, slug: str, detail: str) -> Item:
        place = tar_member(uri, offset, 0, printable(name))
        return Item(place, self.label(), self.licence, 0, slug, None, detail)


@dataclass
class _Sample:
    """The members that share a key."""

    media: list[tar.Member] = field(default_factory=list)
    first: tar.Member | None = None
    caption: str | None = None  # of .txt
    fields: dict[str, Any] = field(default_factory=dict)  # of .json


class _Shard:
    """One shard while it is listed."""

    def __init__(self, source: WebDatasetSource, uri: str, file: BinaryIO, size: int) -> None:
        self._source = source
        self._uri = uri
        self._file = file
        self._size = size
        self._samples: dict[str, _Sample] = {}
        self._problems: list[Item] = []

    def listed(self) -> tuple[list[Item], set[str]]:
        """Its inputs, and the fields of its JSON."""
        self._refuse_compressed()
        try:
            for member in tar.walk(self._file, self._size):
                self._take(member)
        except tar.BrokenTarError as error:
            self._fails(tar.Member("", error.offset, 0, "other"), BROKEN, str(error))
        fields = {name for sample in self._samples.values() for name in sample.fields}
        roles = self._roles(fields)
        found = [item for key, sample in self._samples.items() for item in self._items(key, sample, roles)]
        return [*found, *self._problems], fields

    def _refuse_compressed(self) -> None:
        head = self._file.read(8)
        kind = next((name for mark, name in COMPRESSED.items() if head.startswith(mark)), None)
        if kind:
            what = f"{self._uri} is compressed ({kind}): its members cannot be read one by one"
            raise InputError(what, STEP, "unpack it to a plain .tar; media hardly shrinks")

    def _take(self, member: tar.Member) -> None:
        name = member.name
        while name.startswith("./"):
            name = name[2:]
        parts = name.split("/")
        if member.kind == "folder":
            return
        if name.startswith("/") or ".." in parts or not name:
            self._fails(member, BAD_MEMBER, f"its name leads out of the shard: {printable(name)!r}")
        elif member.kind == "other":
            self._fails(member, BAD_MEMBER, f"{printable(name)!r} is {member.what}")
        elif not any(part.startswith(".") for part in parts):  # hidden, as in a folder
            self._sort(member._replace(name=name))

    def _sort(self, member: tar.Member) -> None:
        folder, slash, file = member.name.rpartition("/")
        stem, _, extension = file.partition(".")
        sample = self._samples.setdefault(f"{folder}{slash}{stem}", _Sample())
        sample.first = sample.first or member
        last = extension.lower().rpartition(".")[2]
        if last in MEDIA or (last not in OTHER and kind_of(self._read(member, HEAD_BYTES))):
            sample.media.append(member)
        elif last in ("txt", "json"):
            self._note(sample, member, last)

    def _note(self, sample: _Sample, member: tar.Member, kind: str) -> None:
        """Take a caption, or the fields of a JSON object, from a member."""
        try:
            if member.size > MAX_TEXT:
                raise ValueError(f"larger than {MAX_TEXT:,} bytes")
            said = self._read(member, member.size).decode("utf-8-sig")
            if kind == "txt":
                sample.caption = sample.caption or text("caption", said)
                return
            fields = json.loads(said)
            if not isinstance(fields, dict):
                raise ValueError("no JSON object")
            sample.fields = sample.fields or fields
        except (ValueError, RecursionError) as error:
            self._fails(member, BAD_RECORD, f"{printable(member.name)!r}: {error}")

    def _items(self, key: str, sample: _Sample, roles: dict[str, str | None]) -> Iterator[Item]:
        told = dict[str, str | None]()
        try:
            told = texts(sample.fields, roles)
        except ValueError as error:
            if sample.first:
                self._fails(sample.first, BAD_RECORD, f"the JSON of {printable(key)!r}: {error}")
        named = self._source.columns.caption is not None
        caption = told.get("caption") if named else sample.caption or told.get("caption")
        for one in sample.media:
            uri = tar_member(self._uri, one.offset, one.size, printable(one.name))
            source = told.get("source") or self._source.label()
            licence = told.get("licence") or self._source.licence
            yield Item(uri, source, licence, one.size, None, caption)
        if not sample.media and sample.first:
            self._fails(sample.first, NO_MEDIA, f"no image or video in the sample {printable(key)!r}")

    def _roles(self, fields: set[str]) -> dict[str, str | None]:
        asked = self._source.columns
        lenient = {role: name for role, name in asked if name in fields}  # another shard's JSON may have it
        return type(asked)(**lenient).roles(sorted(fields), self._uri)

    def _read(self, member: tar.Member, count: int) -> bytes:
        self._file.seek(member.offset)
        return self._file.read(min(count, member.size))

    def _fails(self, member: tar.Member, slug: str, detail: str) -> None:
        self._problems.append(self._source._problem(self._uri, member.offset, member.name, slug, detail))
