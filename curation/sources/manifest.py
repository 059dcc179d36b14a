"""A table of files with what is known of each: CSV, TSV, JSON lines or Parquet."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from operator import attrgetter
from typing import Any

from pydantic import Field

from curation.errors import InputError
from curation.sources import _records as tables
from curation.sources._columns import TextColumns, listed, text, texts
from curation.sources._files import Locations, files_of, shown
from curation.sources._inside import BAD_NAME, OUTSIDE, Root, root_of
from curation.sources._source import REPEATED, STEP, Item, Location, SourceConfig
from curation.sources.members import manifest_line
from curation.sources.members import shown as printable

BAD_RECORD = "bad_record"
_SAYS = {
    OUTSIDE: "leaves the root",
    BAD_NAME: "is no name of a file in UTF-8",
    "no_file": "is no regular file",
}


class ManifestColumns(TextColumns):
    """Which column is which; one that is not named is looked for by its usual names."""

    path: str | None = Field(
        default=None, min_length=1, description="default: path, file_name, file, uri, url, video, image, ..."
    )


class ManifestSource(SourceConfig):
    """The files that tables name, with each one's caption and licence.

    Like a list, a manifest names nothing outside `root`. A record that cannot be used is an error row which
    says its line; one that names a file again is a duplicate.
    """

    manifest: Locations = Field(description="path or fsspec URL: a file, several, a glob or a folder of them")
    root: Location | None = Field(
        default=None, description="what the paths are relative to; default: the manifest's folder"
    )
    columns: ManifestColumns = ManifestColumns()
    format: tables.Format | None = Field(default=None, description="default: what the name ends in")

    def where(self) -> str:
        """The manifests."""
        return shown(self.manifest)

    def items(self) -> Iterator[Item]:
        """The files named, and the records that name none, sorted. Raises InputError if all are such."""
        usable: list[Item] = []
        others: list[Item] = []
        seen: set[str] = set()
        for file in files_of(self.manifest, tables.suffixes()):
            for item, line in self._read(file.uri):
                if item.problem is None and item.uri in seen:
                    item = _repeated(item, manifest_line(file.uri, line))
                (others if item.problem else usable).append(item)
                seen.add(item.uri)
        if others and not usable:
            raise self._useless(others)
        by_uri = attrgetter("uri")
        usable.sort(key=by_uri)
        others.sort(key=by_uri)
        yield from heapq.merge(usable, others, key=by_uri)

    def _read(self, uri: str) -> Iterator[tuple[Item, int]]:
        """Each record of a manifest, with its line."""
        kind = self.format or tables.format_of(uri)
        if kind is None:
            what = f"{uri} ends in none of {' '.join(tables.suffixes())}"
            raise InputError(what, STEP, "say its format: csv, tsv, jsonl or parquet")
        root = root_of(self.root or uri.rpartition("/")[0])
        with tables.reading(uri, kind) as table:
            roles = self._roles(table.columns, uri)
            for record in table.read([name for name in roles.values() if name]):
                yield self._item(uri, record, roles, root), record.line

    def _roles(self, columns: Sequence[str], uri: str) -> dict[str, str | None]:
        roles = self.columns.roles(columns, uri)
        if roles["path"] is None:
            what = f"{uri} has no column that is known to hold paths; it has {listed(columns)}"
            raise InputError(what, STEP, "name it: columns: {path: NAME}")
        return roles

    def _item(self, uri: str, record: tables.Record, roles: dict[str, Any], root: Root) -> Item:
        problem, found, told = record.problem, None, dict[str, str | None]()
        if problem is None:
            try:
                entry = text("path", record.fields.get(roles["path"]))
                told = texts(record.fields, roles)
                found = root.find(entry) if entry else None
                problem = None if entry else f"nothing in {roles['path']!r}"
            except ValueError as error:
                problem = str(error)
        source, licence = told.get("source") or self.label(), told.get("licence") or self.licence
        if found is not None and found.problem is None:
            return Item(found.uri, source, licence, found.size, None, told.get("caption"))
        slug = found.problem if found and found.problem else BAD_RECORD
        why = f"{printable(found.uri)!r} {_SAYS[slug]}" if found else problem
        place = manifest_line(uri, record.line)
        return Item(place, source, licence, 0, slug, told.get("caption"), f"line {record.line}: {why}")

    def _useless(self, problems: Sequence[Item]) -> InputError:
        first, slugs = problems[0], {item.problem for item in problems}
        what = f"no record of {self.where()} can be used: {first.detail}"
        if slugs == {OUTSIDE}:
            return InputError(what, STEP, "set the source's root to a folder or URL that holds all files")
        return InputError(
            what, STEP, "correct the manifest, or say which columns are which: columns: {path: ...}"
        )


def _repeated(item: Item, place: str) -> Item:
    return item._replace(uri=place, size=0, problem=REPEATED, detail=item.uri)
