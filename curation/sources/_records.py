"""Records of a manifest, one after the other, whatever its format: never more than a few in memory."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain, islice
from typing import Any, Literal, NamedTuple, TextIO

from curation.errors import InputError
from curation.sources._parquet_file import opened, unusable
from curation.sources._source import STEP
from curation.stores import StoreError, asking, place

Format = Literal["csv", "tsv", "jsonl", "parquet"]
SUFFIXES: dict[str, Format] = {
    **{".csv": "csv", ".csv.gz": "csv", ".tsv": "tsv", ".tsv.gz": "tsv"},
    **{".jsonl": "jsonl", ".jsonl.gz": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet"},
}
MAX_LINE = 1 << 24  # characters; a longer line is no record
LOOK_AHEAD = 100  # records of JSON lines, to know their fields by
BATCH_ROWS = 4096
MAX_REPEATS = 1000  # quotes that are never closed, after each of which some thousand lines are read again


class Record(NamedTuple):
    """One record, or why it is none."""

    line: int  # from 1; of a record of several lines the first; of Parquet the row
    fields: Mapping[str, Any]
    problem: str | None = None


class Table(NamedTuple):
    """A manifest, open. `read` gives its records, with at least these columns."""

    columns: list[str]
    read: Callable[[Sequence[str]], Iterator[Record]]


def format_of(uri: str) -> Format | None:
    """The format that a name ends in."""
    return next((found for suffix, found in SUFFIXES.items() if uri.lower().endswith(suffix)), None)


@contextmanager
def reading(uri: str, kind: Format) -> Iterator[Table]:
    """The records of a manifest while it is open. Raises InputError if it cannot be used at all."""
    try:
        with _READERS[kind](uri) as table:
            yield table
    except InputError:
        raise
    except StoreError as error:
        raise error.as_input_error(f"manifest {uri} cannot be read", STEP) from error


@contextmanager
def _parquet(uri: str) -> Iterator[Table]:
    import pyarrow as pa

    try:
        with opened(uri) as file:
            columns = [field.name for field in file.schema_arrow]
        yield Table(columns, lambda wanted: _rows(uri, wanted))
    except (OSError, ValueError, pa.ArrowException, StoreError) as error:
        raise error if isinstance(error, InputError) else unusable(uri, error) from error


def _rows(uri: str, columns: Sequence[str]) -> Iterator[Record]:
    row = 0
    with opened(uri, dictionaries=list(columns)) as file:
        for batch in file.iter_batches(BATCH_ROWS, columns=list(columns), use_threads=False):
            names = batch.schema.names
            for values in zip(*(batch.column(name) for name in names), strict=True):
                row += 1
                yield Record(row, {name: value.as_py() for name, value in zip(names, values, strict=True)})


@contextmanager
def _text(uri: str) -> Iterator[TextIO]:
    """Its text. What is not UTF-8 comes as surrogates, so that one bad line is one bad record."""
    with asking():
        fs, path = place(uri)
        raw = fs.open(path, "rb")
    with raw:
        plain = gzip.GzipFile(fileobj=raw) if uri.lower().endswith(".gz") else raw
        yield io.TextIOWrapper(plain, encoding="utf-8-sig", errors="surrogateescape", newline="")


class _TooLongError(Exception):
    """A line that is no record; it has been passed over."""


class _Lines(Iterator[str]):
    """Lines, counted; none is longer than MAX_LINE. Those of the record under way can be given back."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._record: list[str] = []
        self._again: deque[str] = deque()
        self._repeats = 0
        self.number = 0

    def __next__(self) -> str:
        line = self._again.popleft() if self._again else self._read()
        if not line:
            raise StopIteration
        self.number += 1
        if len(line) == MAX_LINE and not line.endswith("\n"):
            while (rest := self._read()) and not rest.endswith("\n"):
                pass
            raise _TooLongError
        self._record.append(line)
        return line

    def begin(self) -> int:
        """Begin a record; the number of its first line."""
        self._record.clear()
        return self.number + 1

    def keep_first(self) -> None:
        """Take only the first line of the record under way for it: the others are to come again."""
        later = self._record[1:]
        if later and self._repeats < MAX_REPEATS:
            self._repeats += 1
            self._again.extendleft(reversed(later))
            self.number -= len(later)

    def _read(self) -> str:
        with asking():
            return self._file.readline(MAX_LINE)


def _separated(delimiter: str) -> Callable[[str], Any]:
    @contextmanager
    def read(uri: str) -> Iterator[Table]:
        with _text(uri) as file:
            lines = _Lines(file)
            # Strict: a quote that is never closed would make one field of all that follows.
            rows = csv.reader(lines, delimiter=delimiter, strict=True)
            try:
                header = next(rows, [])
            except (csv.Error, _TooLongError) as error:
                raise InputError(
                    f"line 1 of {uri} is no header: {error}", STEP, "name the columns"
                ) from error
            if not header:
                raise InputError(f"{uri} is empty", STEP, "its first line names the columns")
            if twice := [name for name in header if header.count(name) > 1]:
                what = f"line 1 of {uri} names the column {twice[0]!r} twice"
                raise InputError(what, STEP, "give each column a name of its own")
            yield Table(header, lambda _: _cells(rows, lines, header))

    return read


def _cells(rows: Iterator[list[str]], lines: _Lines, header: list[str]) -> Iterator[Record]:
    while True:
        first = lines.begin()
        try:
            row = next(rows)
        except StopIteration:
            return
        except _TooLongError:
            yield Record(lines.number, {}, f"longer than {MAX_LINE:,} characters")
            continue
        except csv.Error as error:
            lines.keep_first()  # of a quote that is never closed, all that follows would be this record's
            yield Record(first, {}, f"quotes that do not match: {error}")
            continue
        if row and len(row) != len(header):
            yield Record(first, {}, f"{len(row)} fields, where the header has {len(header)}")
        elif row:
            yield Record(first, {name: cell or None for name, cell in zip(header, row, strict=True)})


@contextmanager
def _jsonl(uri: str) -> Iterator[Table]:
    with _text(uri) as file:
        records = _objects(_Lines(file))
        ahead = list(islice(records, LOOK_AHEAD))
        columns = dict.fromkeys(name for record in ahead for name in record.fields)
        yield Table(list(columns), lambda _: chain(ahead, records))


def _objects(lines: _Lines) -> Iterator[Record]:
    while True:
        try:
            line = next(lines)
        except StopIteration:
            return
        except _TooLongError:
            yield Record(lines.number, {}, f"longer than {MAX_LINE:,} characters")
            continue
        if line.strip():
            yield Record(lines.number, *_object(line))


def _object(line: str) -> tuple[Mapping[str, Any], str | None]:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError) as error:
        return {}, f"no JSON: {error}"
    return (found, None) if isinstance(found, dict) else ({}, "no JSON object")


_READERS: dict[Format, Callable[[str], Any]] = {
    "csv": _separated(","),
    "tsv": _separated("\t"),
    "jsonl": _jsonl,
    "parquet": _parquet,
}


def suffixes(kinds: Iterable[Format] | None = None) -> list[str]:
    """The endings of manifests' names."""
    return [suffix for suffix, kind in SUFFIXES.items() if kinds is None or kind in kinds]
