"""Parquet with the media inside, as Hugging Face's datasets have it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import TypeAdapter

from curation.errors import InputError, MediaError
from curation.sources import Item, Source, from_string, list_items
from curation.steps.embedded import RowReader
from curation.steps.fetch import fetched

source = TypeAdapter(Source).validate_python


def listed(where: Path, **more: Any) -> list[Item]:
    """The inputs of files."""
    return list_items([source({"parquet": str(where), **more})])


def content(uri: str) -> bytes:
    """The bytes that an input has."""
    with fetched(uri) as file:
        return file.path.read_bytes()


@pytest.mark.parametrize("struct", [True, False])
def test_each_row_is_an_input_in_any_order(tmp_path: Path, pictures: list[Path], struct: bool) -> None:
    """Structs and plain bytes, over several row groups, come back exactly, forwards and backwards."""
    data = [path.read_bytes() for path in pictures] * 4
    image = [{"bytes": one, "path": "x.png"} for one in data] if struct else data
    texts = [f"number {n}" for n in range(12)]
    table = pa.table({"image": image, "text": texts, "license": ["MIT"] * 12})
    pq.write_table(table, tmp_path / "train #1.parquet", row_group_size=5)
    items = listed(tmp_path)
    assert [item.caption for item in items] == texts
    assert {item.licence for item in items} == {"MIT"}
    assert [item.uri for item in items] == sorted({item.uri for item in items})
    assert [content(item.uri) for item in items] == data
    assert [content(item.uri) for item in reversed(items)] == data[::-1]


def test_rows_without_bytes_are_errors(tmp_path: Path, pictures: list[Path]) -> None:
    """Nulls, empty bytes and a path alone have nothing to read, and say so."""
    good = {"bytes": pictures[0].read_bytes(), "path": None}
    rows = [good, None, {"bytes": None, "path": "x.png"}, {"bytes": b"", "path": None}]
    pq.write_table(pa.table({"image": rows}), tmp_path / "a.parquet")
    first, *others = listed(tmp_path / "a.parquet")
    assert content(first.uri) == good["bytes"]
    for item in others:
        with pytest.raises(MediaError) as caught:
            content(item.uri)
        assert caught.value.slug == "no_media"


def test_damage_is_told_file_by_file(tmp_path: Path, pictures: list[Path]) -> None:
    """A file that is no Parquet is one error row; a damaged page is one at each row that it holds."""
    data = [path.read_bytes() for path in pictures]
    path = tmp_path / "b.parquet"
    pq.write_table(
        pa.table({"image": data}), path, row_group_size=1, use_dictionary=False, compression="zstd"
    )
    (tmp_path / "a.parquet").write_bytes(b"PAR1 not at all PAR1")
    broken, first, *_, last = listed(tmp_path)
    assert broken.problem == "broken_shard"
    whole = bytearray(path.read_bytes())
    whole[40:4000] = b"\xff" * 3960
    path.write_bytes(bytes(whole))
    with pytest.raises(MediaError) as caught:
        content(first.uri)
    assert caught.value.slug == "broken_shard"
    assert content(last.uri) == data[-1]


def test_reading_on_opens_no_row_group_twice(
    tmp_path: Path, pictures: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows in their order are one pass over the file, with few of them in memory."""
    data = [path.read_bytes() for path in pictures] * 8
    pq.write_table(pa.table({"image": data}), tmp_path / "a.parquet", row_group_size=6)
    begun = []
    iterate = pq.ParquetFile.iter_batches

    def counted(self: pq.ParquetFile, *arguments: Any, **more: Any) -> Any:
        begun.append(more["row_groups"])
        return iterate(self, *arguments, **more)

    monkeypatch.setattr(pq.ParquetFile, "iter_batches", counted)
    reader = RowReader()
    from curation.sources.members import ParquetRow

    rows = [reader.read(ParquetRow(str(tmp_path / "a.parquet"), row, "image")) for row in range(24)]
    reader.close()
    assert rows == data
    assert begun == [[0], [1], [2], [3]]


@pytest.mark.parametrize(
    ("columns", "table", "what"),
    [
        ({"media": "imgae"}, {"image": [b"x"]}, "no column 'imgae'; did you mean 'image'"),
        ({"media": "text"}, {"image": [b"x"], "text": ["t"]}, "'text' .* holds no bytes"),
        ({}, {"before": [b"x"], "after": [b"y"]}, "several columns of bytes: 'before', 'after'"),
        ({}, {"path": ["x"]}, "no column of bytes"),
    ],
)
def test_unclear_columns_are_one_error(
    tmp_path: Path, columns: dict[str, str], table: dict[str, Any], what: str
) -> None:
    """Which column holds the media is found or named, never guessed among several."""
    pq.write_table(pa.table(table), tmp_path / "a.parquet")
    with pytest.raises(InputError, match=what):
        listed(tmp_path / "a.parquet", columns=columns)


def test_command_line_tells_tables_shards_and_folders_apart(tmp_path: Path, pictures: list[Path]) -> None:
    """A path means a manifest, shards or media by its name and by what is in it."""
    for folder in ("hf", "table", "mixed", "lists"):
        (tmp_path / folder).mkdir()
    pq.write_table(pa.table({"image": [b"x"]}), tmp_path / "hf" / "a.parquet")
    (tmp_path / "hf" / "README.md").write_text("a card")
    pq.write_table(pa.table({"path": ["x"]}), tmp_path / "table" / "a.parquet")
    (tmp_path / "mixed" / "m.csv").write_text("path\nx\n")
    (tmp_path / "mixed" / "a.png").write_bytes(pictures[0].read_bytes())
    (tmp_path / "lists" / "m.jsonl").write_text("{}")
    kinds = {
        "hf": "parquet",
        "hf/*.parquet": "parquet",
        "hf/a.parquet": "parquet",
        "table": "manifest",
        "table/a.parquet": "manifest",
        "mixed": "folder",
        "mixed/m.csv": "manifest",
        "mixed/a.png": "file",
        "lists": "manifest",
    }
    for path, kind in kinds.items():
        assert from_string(str(tmp_path / path)) == source({kind: str(tmp_path / path)}), path
