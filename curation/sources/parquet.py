"""Parquet files with the media in them, as Hugging Face's datasets has them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from pydantic import Field

from curation.errors import InputError
from curation.sources._columns import TextColumns, listed, texts, usual
from curation.sources._files import File, Locations, files_of, shown
from curation.sources._parquet_file import opened, unusable
from curation.sources._source import STEP, Item, SourceConfig
from curation.sources.members import parquet_row
from curation.stores import StoreError

BAD_RECORD, BROKEN = "bad_record", "broken_shard"
READERS = 8  # files listed at once
BATCH_ROWS = 1024


class MediaColumns(TextColumns):
    """Which column is which; one that is not named is looked for by its usual names."""

    media: str | None = Field(
        default=None,
        min_length=1,
        description="of bytes, or of {bytes, path}; default: image, video, bytes, ... or the only such",
    )


class ParquetSource(SourceConfig):
    """Every row's image or video, an input of its own, with the row's caption and licence.

    To list them, the footers and the columns of text are read; the media is read row group by row group once
    it is judged. A row without bytes is an error row.
    """

    parquet: Locations = Field(description="path or fsspec URL: a file, several, a glob or a folder of them")
    columns: MediaColumns = MediaColumns()

    def where(self) -> str:
        """The files."""
        return shown(self.parquet)

    def items(self) -> Iterator[Item]:
        """All rows' media, file by file. Raises InputError if no file can be read."""
        files = files_of(self.parquet, (".parquet",))
        with ThreadPoolExecutor(READERS) as threads:
            found = [item for items in threads.map(self._file, files) for item in items]
        if found and all(item.problem for item in found):
            what = f"nothing in {self.where()} can be used: {found[0].detail}"
            raise InputError(what, STEP, "check the files")
        yield from found

    def _file(self, file: File) -> list[Item]:
        import pyarrow as pa

        try:
            if file.size is None:
                raise ValueError("no such file")
            with opened(file.uri) as parquet:
                roles = self._roles(parquet.schema_arrow, file.uri)
                return list(self._rows(parquet, file.uri, roles))
        except InputError:
            raise
        except StoreError as error:
            raise unusable(file.uri, error) from error
        except (OSError, ValueError, pa.ArrowException) as error:
            detail = str(unusable(file.uri, error))
            place = parquet_row(file.uri, 0, "")
            return [Item(place, self.label(), self.licence, 0, BROKEN, None, detail)]

    def _roles(self, schema: Any, uri: str) -> dict[str, str | None]:
        """The column of each role. Raises InputError where that is not clear."""
        of_media = media_columns(schema)
        roles = self.columns.roles(schema.names, uri)
        if self.columns.media is None:
            roles["media"] = usual("media", of_media) or (of_media[0] if len(of_media) == 1 else None)
        if roles["media"] in of_media:
            return roles
        if self.columns.media:
            what = f"the column {self.columns.media!r} of {uri} holds no bytes"
            raise InputError(what, STEP, f"set columns.media to one of: {listed(of_media)}")
        if of_media:
            what = f"{uri} has several columns of bytes: {listed(of_media)}"
            raise InputError(what, STEP, "name one: columns: {media: NAME}")
        raise InputError(
            f"{uri} has no column of bytes", STEP, "if it names files, write manifest: for parquet:"
        )

    def _rows(self, parquet: Any, uri: str, roles: dict[str, str | None]) -> Iterator[Item]:
        sizes = list(_sizes(parquet.metadata, str(roles["media"])))
        wanted = [name for role, name in roles.items() if name and role != "media"]
        if not wanted:
            yield from (self._item(uri, row, roles, {}, size) for row, size in enumerate(sizes))
            return
        row = 0
        for batch in parquet.iter_batches(BATCH_ROWS, columns=wanted, use_threads=False):
            for fields in batch.to_pylist():
                yield self._item(uri, row, roles, fields, sizes[row])
                row += 1

    def _item(
        self, uri: str, row: int, roles: dict[str, str | None], fields: dict[str, Any], size: int
    ) -> Item:
        place = parquet_row(uri, row, str(roles["media"]))
        try:
            told = texts(fields, roles)
        except ValueError as error:
            detail = f"row {row}: {error}"
            return Item(place, self.label(), self.licence, 0, BAD_RECORD, None, detail)
        source, licence = told.get("source") or self.label(), told.get("licence") or self.licence
        return Item(place, source, licence, size, None, told.get("caption"))


def media_columns(schema: Any) -> list[str]:
    """Columns that may hold media: of bytes, or structs with a field of bytes."""
    return [field.name for field in schema if _is_binary(field.type) or _has_bytes(field.type)]


def _has_bytes(kind: Any) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_struct(kind)) and any(
        one.name == "bytes" and _is_binary(one.type) for one in kind
    )


def _is_binary(kind: Any) -> bool:
    import pyarrow as pa

    tests = (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_binary_view)
    return any(test(kind) for test in tests)


def _sizes(footer: Any, column: str) -> Iterator[int]:
    """Bytes of each row's media, as the mean of its row group: what a footer says without reading any."""
    for number in range(footer.num_row_groups):
        group = footer.row_group(number)
        columns = (group.column(one) for one in range(group.num_columns))
        paths: Sequence[str] = (column, f"{column}.bytes")
        total = sum(one.total_compressed_size for one in columns if one.path_in_schema in paths)
        yield from [total // max(1, group.num_rows)] * group.num_rows
