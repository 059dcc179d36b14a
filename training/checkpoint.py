"""Checkpoints in the run's folder: a shard from every worker, then a manifest with their checksums, last.

A folder without a manifest, or one whose files differ from it, was cut short and is never loaded. Shards are
safetensors: nothing is unpickled.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from training.atomic import sync, write_json
from training.partition import Division, Shard
from training.team import Team

MANIFEST = "manifest.json"
Layout = list[list[tuple[str, int]]]


@dataclass(frozen=True)
class Manifest:
    """What a checkpoint holds: position, flat layout of the shards, checksums."""

    phase: str
    step: int
    layout: Layout
    files: dict[str, str]
    division: Division = "flat"


@dataclass(frozen=True)
class Checkpoint:
    """A complete checkpoint on disk."""

    folder: Path
    manifest: Manifest

    def shards(self) -> list[Shard]:
        """Open the shards of all workers, in order of rank; a tensor is read by the slices taken of it."""
        return [_Opened(self.folder / name) for name in sorted(self.manifest.files)]


class _Opened(Mapping[str, Any]):
    """A safetensors file, of which only what is asked for is read."""

    def __init__(self, path: Path) -> None:
        self._file: Any = safe_open(path, "pt")

    def __getitem__(self, key: str) -> Any:
        return self._file.get_slice(key)

    def __iter__(self) -> Iterator[str]:
        return iter(self._file.keys())

    def __len__(self) -> int:
        return len(self._file.keys())


def save(
    root: Path,
    position: tuple[str, int],
    shard: Mapping[str, Tensor],
    layout: Layout,
    team: Team,
    division: Division = "flat",
) -> Path:
    """Write this worker's shard and, once all are there, the manifest. Every worker calls this."""
    phase, step = position
    folder = root / f"{phase}-{step:08d}"
    if team.rank == 0:
        shutil.rmtree(folder, ignore_errors=True)  # what a killed attempt left
        folder.mkdir(parents=True)
    team.wait()
    name = f"rank-{team.rank:05d}-of-{team.size:05d}.safetensors"
    save_file(dict(shard), folder / name)
    sync(folder / name)
    files = dict(team.gather((name, checksum(folder / name))))
    if team.rank == 0:
        write_json(folder / MANIFEST, asdict(Manifest(phase, step, layout, files, division)))
    team.wait()
    return folder


def latest(
    root: Path, phases: Sequence[str], warn: Callable[[str], None] = lambda text: None
) -> Checkpoint | None:
    """Return the newest complete checkpoint of `phases` (in order of time); `warn` hears of damaged ones."""
    found = [c for folder in root.glob("*") if (c := read(folder)) and c.manifest.phase in phases]
    found.sort(key=lambda c: (phases.index(c.manifest.phase), c.manifest.step), reverse=True)
    for checkpoint in found:
        damaged = damaged_files(checkpoint)
        if not damaged:
            return checkpoint
        warn(f"checkpoint {checkpoint.folder} is damaged ({', '.join(damaged)}): taking the one before it")
    return None


def read(folder: Path) -> Checkpoint | None:
    """Return the checkpoint in `folder` if it has a manifest."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text())
    except (FileNotFoundError, NotADirectoryError, json.JSONDecodeError):
        return None
    layout = [[(name, length) for name, length in group] for group in manifest.pop("layout")]
    return Checkpoint(folder, Manifest(**manifest, layout=layout))


def damaged_files(checkpoint: Checkpoint) -> list[str]:
    """Return the names of shards that are missing or differ from the manifest."""
    paths = {name: checkpoint.folder / name for name in checkpoint.manifest.files}
    return [
        name
        for name, path in paths.items()
        if not path.is_file() or checksum(path) != checkpoint.manifest.files[name]
    ]


def keep_last(root: Path, count: int) -> None:
    """Delete all but the `count` youngest checkpoints; each loses its manifest first."""
    folders = [folder for folder in root.glob("*") if (folder / MANIFEST).exists()]
    folders.sort(key=lambda folder: (folder / MANIFEST).stat().st_mtime_ns)
    for folder in folders[: max(0, len(folders) - count)]:
        (folder / MANIFEST).unlink()
        shutil.rmtree(folder)


def checksum(path: Path) -> str:
    """Return a file's SHA-256."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
