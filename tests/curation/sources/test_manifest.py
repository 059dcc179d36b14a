"""Manifests: every record ends as one input or one error that says its line."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from curation.errors import InputError
from curation.sources import REPEATED, Item, Source, from_string, list_items

source = TypeAdapter(Source).validate_python
RECORDS = [
    {"file_name": "a.mp4", "text": "a cat, asleep", "license": "CC0"},
    {"file_name": "deep/b.png", "text": 'she said "hi"\nand left', "license": None},
]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder with two files."""
    (tmp_path / "deep").mkdir()
    (tmp_path / "a.mp4").write_bytes(b"aa")
    (tmp_path / "deep" / "b.png").write_bytes(b"b")
    return tmp_path


def listed(folder: Path, text: str, **more: Any) -> list[Item]:
    """The inputs of a manifest with this text."""
    (folder / "m.csv").write_text(text)
    return list_items([source({"manifest": str(folder / "m.csv"), **more})])


def write(root: Path, kind: str) -> Path:
    """RECORDS in a format."""
    path = root / f"m.{kind}"
    if kind == "parquet":
        pq.write_table(pa.Table.from_pylist(RECORDS), path)
    elif kind == "jsonl":
        path.write_text("\n".join(map(json.dumps, RECORDS)))
    else:
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(RECORDS[0]), delimiter="\t" if kind == "tsv" else ",")
            writer.writeheader()
            writer.writerows(RECORDS)
    return path


@pytest.mark.parametrize("kind", ["csv", "tsv", "jsonl", "parquet"])
def test_formats_say_the_same(root: Path, kind: str) -> None:
    """Each format, found by its name, gives the same files with their captions and licences."""
    items = list_items([from_string(str(write(root, kind)))])
    assert [(Path(i.uri).name, i.size, i.caption, i.licence) for i in items] == [
        ("a.mp4", 2, "a cat, asleep", "CC0"),
        ("b.png", 1, 'she said "hi"\nand left', None),
    ]


def test_columns_are_mapped(root: Path) -> None:
    """A recipe names columns that have no usual name; what the record does not say, the source does."""
    text = "where,what,from\na.mp4,a cat,web\ndeep/b.png,,\n"
    columns = {"path": "where", "caption": "what", "source": "from"}
    one, other = listed(root, text, columns=columns, licence="CC-BY")
    assert (one.caption, one.source, one.licence) == ("a cat", "web", "CC-BY")
    assert (other.caption, other.source) == (None, "m.csv")


@pytest.mark.parametrize(
    ("line", "slug", "says"),
    [
        ("../x,c", "outside_root", "leaves the root"),
        ("/etc/passwd,c", "outside_root", "leaves the root"),
        ("link,c", "outside_root", "leaves the root"),
        ("linked/x,c", "outside_root", "leaves the root"),
        ("https://example.org/x,c", "outside_root", "leaves the root"),
        ("pipe,c", "no_file", "no regular file"),
        (",c", "bad_record", "nothing in 'path'"),
        ("a.mp4", "bad_record", "1 fields, where the header has 2"),
        ("x,y,z", "bad_record", "3 fields"),
        ('"x"y,z', "bad_record", "quotes that do not match"),
        ("nul\0,c", "bad_name", "no name of a file"),
    ],
)
def test_bad_line_is_one_error_row(root: Path, line: str, slug: str, says: str) -> None:
    """A record that cannot be used says its line and why, and costs no other record."""
    import os

    (root / "link").symlink_to("/etc/passwd")
    (root / "linked").symlink_to(root.parent)
    os.mkfifo(root / "pipe")
    good, bad = listed(root, f"path,caption\n{line}\na.mp4,fine\n")
    assert (Path(good.uri).name, good.problem) == ("a.mp4", None)
    assert bad.problem == slug
    assert bad.detail is not None
    assert bad.detail.startswith("line 2: ")
    assert says in bad.detail


@pytest.mark.parametrize(
    "line", ["{broken", "[1]", "[" * 100_000, '{"path": 3}', '{"path": {}}', '{"x": 1}', "\udcff"]
)
def test_bad_json_is_one_error_row(root: Path, line: str) -> None:
    """The same holds for lines that are no JSON, no object, nested without end, or no UTF-8."""
    text = f'{{"path": "a.mp4", "caption": "half a \\ud83d pair"}}\n{line}\n'
    (root / "m.jsonl").write_bytes(text.encode("utf-8", "surrogateescape"))
    good, bad = list_items([source({"manifest": str(root / "m.jsonl")})])
    assert good.caption == "half a \ufffd pair"
    assert bad.problem == "bad_record"
    assert str(bad.detail).startswith("line 2: ")


def test_quote_that_is_never_closed_costs_one_line(root: Path) -> None:
    """The lines after it are records of their own, not a part of its field."""
    rest = "".join(f"{n}.mp4,c\n" for n in range(50))
    items = listed(root, f'path,caption\na.mp4,"never closed\n{rest}')
    assert [item.detail for item in items if item.problem] == [
        "line 2: quotes that do not match: unexpected end of data"
    ]
    assert len(items) == 51


def test_file_named_again_is_a_duplicate_with_its_own_caption(root: Path) -> None:
    """Two captions of one file are two records: the second is told as a repeat, and keeps its text."""
    first, again = listed(root, "path,caption\na.mp4,one\n./a.mp4,two\n")
    assert (first.caption, first.problem) == ("one", None)
    assert (again.caption, again.problem, again.detail) == ("two", REPEATED, str(root / "a.mp4"))


@pytest.mark.parametrize(
    ("text", "more", "what", "next_step"),
    [
        (
            "path,captoin\na.mp4,c\n",
            {"columns": {"caption": "caption"}},
            "did you mean 'captoin'",
            "columns.caption",
        ),
        ("a,b\nc,d\n", {}, "no column that is known to hold paths; it has 'a', 'b'", "columns: {path: NAME}"),
        ("path,path\na,b\n", {}, "line 1 .* twice", "a name of its own"),
        ("", {}, "is empty", "names the columns"),
        ("path\n../x\n../y\n", {}, "no record .* line 2", "set the source's root"),
        ("path\na.mp4\n", {"root": "/nowhere/at/all"}, "the root .* is no folder", "check the source's root"),
    ],
)
def test_manifest_that_is_of_no_use_is_one_error(
    root: Path, text: str, more: dict[str, Any], what: str, next_step: str
) -> None:
    """It names the file, the line or column and the near match, and says what to do."""
    with pytest.raises(InputError, match=what) as caught:
        listed(root, text, **more)
    assert ("m.csv" in caught.value.what) == ("root" not in more)
    assert next_step in caught.value.next_step


def test_parquet_that_announces_too_much_is_refused(root: Path) -> None:
    """A small file with a thousandfold of bytes in its footer is not opened up."""
    pq.write_table(
        pa.table({"path": ["x" * 4_000_000]}), root / "m.parquet", compression="zstd", use_dictionary=False
    )
    with pytest.raises(InputError, match="announces"):
        list_items([source({"manifest": str(root / "m.parquet")})])


cells = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)


@given(st.lists(st.tuples(cells, cells), min_size=1, max_size=30), st.sampled_from(["csv", "tsv", "jsonl"]))
def test_each_record_is_one_input(
    tmp_path_factory: pytest.TempPathFactory, records: list[tuple[str, str]], kind: str
) -> None:
    """Whatever the paths and captions: as many inputs as records, unique, sorted, none outside the root."""
    root = tmp_path_factory.mktemp("m")
    records = [("fine.mp4", ""), *records]
    path = root / f"m.{kind}"
    if kind == "jsonl":
        path.write_text("\n".join(json.dumps({"path": a, "caption": b}) for a, b in records))
    else:
        text = io.StringIO()
        csv.writer(text, delimiter="\t" if kind == "tsv" else ",").writerows([("path", "caption"), *records])
        path.write_text(text.getvalue(), newline="")
    items = list_items([source({"manifest": str(path)})])
    uris = [item.uri for item in items]
    assert len(items) == len(records)
    assert uris == sorted(set(uris))
    assert all(item.problem or item.uri.startswith(f"{root}/") for item in items)
