"""A folder of ordinary files: media, and beside it the manifests that curation reads.

    generation.jsonl  path, caption: a manifest of files to generate
    records.jsonl     task, and image or video with its conversations, as LLaVA's instruction data has them,
                      or an edit's source, target and instruction
    truth.jsonl       path, task, truth: the scenes behind all of them, for whoever judges

All paths are relative to the folder. The same arguments write the same bytes, with any number of processes.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from omnivideo.errors import InputError
from omnivideo.shapes.rows import Look, Task, make_row
from omnivideo.shapes.sampling import Split

SHARES: Mapping[Task, float] = {
    **{"text_to_image": 0.25, "text_to_video": 0.25},
    **{"image_understanding": 0.125, "video_understanding": 0.125, "image_edit": 0.125, "video_edit": 0.125},
}
CHUNK = 64  # rows a process makes in one go
SIZES = range(32, 513)


def write(
    folder: str | Path,
    rows: int,
    seed: int = 0,
    split: Split = "train",
    look: Look | None = None,
    processes: int = 1,
    shares: Mapping[Task, float] = SHARES,
) -> dict[Task, int]:
    """Write a world of `rows` rows; return how many each task has. What is there already is overwritten.

    Raises InputError for a size that is odd or not in 32 to 512 pixels.
    """
    look = look or Look()
    if look.size not in SIZES or look.size % 2:
        raise InputError(f"a size of {look.size}", "shapes", "Choose an even one from 32 to 512 pixels")
    root = Path(folder)
    root.mkdir(parents=True, exist_ok=True)
    counts = {task: round(rows * share / sum(shares.values())) for task, share in shares.items() if share}
    wanted = [(task, number) for task, count in counts.items() for number in range(count)]
    make = partial(_make, str(root), seed, split, look)
    if processes == 1:
        made = list(map(make, wanted))
    else:
        # Not forked: the caller may have threads.
        with ProcessPoolExecutor(processes, get_context("spawn")) as pool:
            made = list(pool.map(make, wanted, chunksize=CHUNK))
    _write_manifests(root, made)
    return counts


def _make(root: str, seed: int, split: Split, look: Look, wanted: tuple[Task, int]) -> dict[str, Any]:
    import cv2

    cv2.setNumThreads(1)  # the processes share the cores already
    task, number = wanted
    return make_row(Path(root), task, seed, split, number, look)


def _write_manifests(root: Path, rows: list[dict[str, Any]]) -> None:
    generation = [row for row in rows if "caption" in row]
    records = [_edit(row) if "instruction" in row else _chat(row) for row in rows if "caption" not in row]
    _replace(root / "generation.jsonl", [_chosen(row, "path", "caption") for row in generation])
    _replace(root / "records.jsonl", records)
    _replace(root / "truth.jsonl", [_chosen(row, "path", "task", "truth") for row in rows])


def _chosen(row: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: row[name] for name in names}


def _edit(row: Mapping[str, Any]) -> dict[str, Any]:
    return _chosen(row, "task", "instruction") | {"source": row["edit_source"], "target": row["path"]}


def _chat(row: Mapping[str, Any]) -> dict[str, Any]:
    kind = "image" if row["task"] == "image_understanding" else "video"
    turns: list[dict[str, str]] = []
    for question, answer in row["conversation"]:
        asked = question if turns else f"<{kind}>\n{question}"
        turns += [{"from": "human", "value": asked}, {"from": "gpt", "value": answer}]
    return {"task": row["task"], kind: row["path"], "conversations": turns}


def _replace(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    partial_file = path.with_name(f".{path.name}.partial")
    with partial_file.open("w", encoding="utf-8") as file:
        file.writelines(f"{json.dumps(row)}\n" for row in rows)
    partial_file.replace(path)


def read_truth(folder: str | Path) -> list[dict[str, Any]]:
    """The rows of truth.jsonl: `path`, `task` and `truth`."""
    with Path(folder, "truth.jsonl").open(encoding="utf-8") as file:
        return [json.loads(line) for line in file]
