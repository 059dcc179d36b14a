"""Small folders in the layouts that the datasets are released in, made of real pictures and clips."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq


class Layout:
    """A dataset's folder while it is made; `pictures` and `clips` are real ones."""

    def __init__(self, root: Path, pictures: Sequence[Path], clips: Sequence[Path]) -> None:
        self.root, self.pictures, self.clips = root, pictures, clips

    def put(self, name: str, source: Path | bytes) -> str:
        """A file at a path below the root; returns the path."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(source, bytes):
            path.write_bytes(source)
        else:
            shutil.copy(source, path)
        return name

    def array(self, name: str, records: Sequence[Mapping[str, Any]]) -> None:
        """A JSON array, indented as some are."""
        self.put(name, json.dumps(records, indent=2, ensure_ascii=False).encode())

    def lines(self, name: str, records: Sequence[Mapping[str, Any] | str]) -> None:
        """JSON lines; a text goes in as it is."""
        text = (one if isinstance(one, str) else json.dumps(one) for one in records)
        self.put(name, "\n".join(text).encode())

    def table(self, name: str, columns: Mapping[str, Sequence[Any]], pictures: Sequence[str] = ()) -> None:
        """A Parquet file as Hugging Face's datasets write it: pictures are structs of bytes and path."""
        image = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
        arrays = {
            key: pa.array(values, image) if key in pictures else pa.array(values)
            for key, values in columns.items()
        }
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.table(arrays), path, row_group_size=2)


def image(path: Path | bytes) -> dict[str, Any]:
    """A picture as a value of a column."""
    return {"bytes": path if isinstance(path, bytes) else path.read_bytes(), "path": None}


def talk(question: str, answer: str) -> list[dict[str, str]]:
    """A LLaVA-style conversation of one turn."""
    return [{"from": "human", "value": question}, {"from": "gpt", "value": answer}]
