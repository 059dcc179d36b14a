"""The world of shapes as data that is never written: `shapes://ROWS?size=64&seed=0` in a dataset's place;
with `simple=1` of one large thing about the middle of each, told in a few words.

Its rows are those that `omnivideo shapes` writes with the same numbers, and its media are rendered when they
are asked for: nothing is curated, encoded or decoded.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from typing import TYPE_CHECKING, Any, cast, get_args, overload
from urllib.parse import parse_qsl, urlsplit

import torch
from torch import Tensor

from omnivideo.errors import InputError
from omnivideo.shapes.render import Pixels, render
from omnivideo.shapes.rows import VIDEO_TASKS, Look, told
from omnivideo.shapes.writing import SHARES
from training.config import EDITING, Task

if TYPE_CHECKING:
    import pyarrow as pa

    from curation.dataset import Dataset
    from training.data.samples import View

SCHEME = "shapes"
KEYS = ("size", "seed", "simple")
CORES_EACH = 4  # to a process that renders: others train, and read, beside it
CHUNK = 16  # samples that a process renders at a time
_ROLES = ("user", "assistant")


def open_data(uri: str, version: int | None = None) -> Dataset:
    """Open a dataset as `open_dataset` does, or a world that is rendered, which has version 0 alone.

    Raises InputError for what is neither.
    """
    if uri.startswith(f"{SCHEME}://"):
        return cast("Dataset", Rendered(uri))
    from curation.dataset import open_dataset

    return open_dataset(uri, version)


class Rendered:
    """What training asks of a dataset, answered from scenes."""

    def __init__(self, uri: str, processes: int | None = None) -> None:
        self.uri, self.version = uri, 0
        self._processes = processes or max(1, len(os.sched_getaffinity(0)) // CORES_EACH)
        self._pool: ProcessPoolExecutor | None = None
        split = urlsplit(uri)
        try:
            rows, options = int(split.netloc), {key: int(value) for key, value in parse_qsl(split.query)}
        except ValueError:
            rows, options = 0, {}
        if rows < 1 or options.keys() - set(KEYS):
            raise InputError(f"{uri} is no world", "opening", "write shapes://ROWS?size=64&seed=0")
        self._simple = bool(options.get("simple"))
        self._rows, self._seed, self._look = rows, options.get("seed", 0), Look(options.get("size", 64))

    @property
    def metadata(self) -> dict[str, Any]:
        """Lineage: the address says all."""
        return {"rendered": self.uri}

    def table(self, columns: Sequence[str], where: str | None = None) -> pa.Table:
        """Return the rows, all of them kept."""
        import pyarrow as pa

        counts = {task: round(self._rows * share) for task, share in SHARES.items()}
        rows = [self._row(task, number) for task, count in counts.items() for number in range(count)]
        chosen = [{name: row.get(name) for name in columns} for row in rows]
        return pa.Table.from_pylist(chosen)

    def _row(self, task: Task, number: int) -> dict[str, Any]:
        row, _ = told(task, self._seed, "train", number, self._simple)
        moving, size = task in VIDEO_TASKS, self._look.size
        turns = row.pop("conversation", [])
        said = [
            {"role": role, "content": text} for turn in turns for role, text in zip(_ROLES, turn, strict=True)
        ]
        shape = {"width": size, "height": size, "fps": float(self._look.fps) if moving else None}
        length = {"num_frames": self._look.num_frames if moving else 1, "media_format": "rendered"}
        scores = {"dedup_hamming": None}
        return {
            **{"sample_id": f"{task}-{number:07d}", "task": task, "source": SCHEME, "scores": scores},
            **{"caption": None, "instruction": None, "conversation": said, **row, **shape, **length},
        }

    def render_all(self, views: Sequence[View]) -> list[tuple[Tensor, Tensor | None]]:
        """Render samples as `render` does, by several processes where there are cores for them."""
        if self._processes == 1:
            return [self.render(view) for view in views]
        if self._pool is None:  # the caller may have threads, and a device
            self._pool = ProcessPoolExecutor(self._processes, get_context("spawn"))
        parts = [views[start : start + CHUNK] for start in range(0, len(views), CHUNK)]
        done = self._pool.map(partial(_painted, self.uri), parts)
        return [(_as_frames(target), _as_frames(source)) for part in done for target, source in part]

    def render(self, view: View) -> tuple[Tensor, Tensor | None]:
        """Frames [3, T, H, W] in [-1, 1] of a sample as a phase sees it and, for edits, of its source."""
        target, source = self.paint(view)
        return _as_frames(target), _as_frames(source)

    def paint(self, view: View) -> tuple[Pixels, Pixels | None]:
        """As `render`, uint8 [T, H, W, 3]."""
        task, _, number = view.sample_id.rpartition("-")
        if task not in get_args(Task):
            raise InputError(f"{self.uri} has no sample {view.sample_id}", "rendering", "open it anew")
        _, scenes = told(cast("Task", task), self._seed, "train", int(number), self._simple)
        painted = [self._pixels(scene, view) for scene in scenes]
        return painted[0], painted[1] if view.task in EDITING else None

    def _pixels(self, scene: Any, view: View) -> Pixels:
        _, height, width, count = view.bucket
        if height != width:
            raise InputError(f"a size of {height}×{width}", "rendering", "the world of shapes is square")
        whole = round(view.fps * self._look.seconds) + 1 if view.fps else 1
        return render(scene, height, whole)[:count]


@overload
def _as_frames(pixels: Pixels) -> Tensor: ...
@overload
def _as_frames(pixels: None) -> None: ...
def _as_frames(pixels: Pixels | None) -> Tensor | None:
    if pixels is None:
        return None
    return torch.from_numpy(pixels).permute(3, 0, 1, 2).float() / 127.5 - 1


def _painted(uri: str, views: Sequence[View]) -> list[tuple[Pixels, Pixels | None]]:
    world = Rendered(uri)
    return [world.paint(view) for view in views]
