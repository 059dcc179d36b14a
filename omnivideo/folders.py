"""What a saved folder must hold, told in one line before anything is loaded."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from omnivideo.errors import InputError

STEP = "load the model"


def check_folder(folder: Path, parts: tuple[str, ...]) -> None:
    """Raise InputError for a local folder that holds another pipeline or lacks a file of one of `parts`."""
    if not folder.exists():
        return  # a hub id
    index = folder / "model_index.json"
    found = json.loads(index.read_text(encoding="utf-8")).get("_class_name") if index.is_file() else None
    if found != "OmniVideoPipeline":
        what = f"{folder} holds {f'a {found}' if found else 'no model_index.json'}"
        raise InputError(what, STEP, "Give a folder written by save_pretrained")
    for part in parts:
        for file in _wanted(folder / part):
            if not file.is_file():
                raise InputError(f"{file} is missing", STEP, "Copy or export the whole folder again")


def _wanted(part: Path) -> Iterator[Path]:
    """The files of one part: its configuration and its weights, shard by shard where an index lists them."""
    yield part / "config.json"
    index = next(part.glob("*.safetensors.index.json"), None)
    if index is not None:
        shards = json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()
        yield from (part / shard for shard in sorted(set(shards)))
    else:
        yield next(part.glob("*.safetensors"), part / "*.safetensors")
