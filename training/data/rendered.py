"""The world of shapes as data that is never written: `shapes://ROWS?size=64&seed=0` in a dataset's place;
with `simple=1` of one large thing about the middle of each, told in a few words.

Its rows are those that `omnivideo shapes` writes with the same numbers, and its media are rendered when they
are asked for: nothing is curated, encoded or decoded.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast, get_args
from urllib.parse import parse_qsl, urlsplit

import torch
from torch import Tensor

from omnivideo.errors import InputError
from omnivideo.shapes.render import render
from omnivideo.shapes.rows import VIDEO_TASKS, Look, told
from omnivideo.shapes.writing import SHARES
from training.config import EDITING, Task

if TYPE_CHECKING:
    import pyarrow as pa

    from curation.dataset import Dataset
    from training.data.samples import View

SCHEME = "shapes"
KEYS = ("size", "seed", "simple")
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

    def __init__(self, uri: str) -> None:
        self.uri, self.version = uri, 0
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

    def render(self, view: View) -> tuple[Tensor, Tensor | None]:
        """Frames [3, T, H, W] in [-1, 1] of a sample as a phase sees it and, for edits, of its source."""
        task, _, number = view.sample_id.rpartition("-")
        if task not in get_args(Task):
            raise InputError(f"{self.uri} has no sample {view.sample_id}", "rendering", "open it anew")
        _, scenes = told(cast("Task", task), self._seed, "train", int(number), self._simple)
        frames = [self._frames(scene, view) for scene in scenes]
        return frames[0], frames[1] if view.task in EDITING else None

    def _frames(self, scene: Any, view: View) -> Tensor:
        _, height, width, count = view.bucket
        if height != width:
            raise InputError(f"a size of {height}×{width}", "rendering", "the world of shapes is square")
        whole = round(view.fps * self._look.seconds) + 1 if view.fps else 1
        pixels = torch.from_numpy(render(scene, height, whole)[:count])
        return pixels.permute(3, 0, 1, 2).float() / 127.5 - 1
