"""Checkpoints in the run's folder: a shard from every worker, then a manifest with their checksums, last.

A folder without a manifest, or one whose files differ from it, was cut short and is never loaded. Shards are
safetensors: nothing is unpickled.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from training.checkpoints.atomic import sync, write_json
from training.parallel.partition import Division, Shard
from training.parallel.team import Team

MANIFEST = "manifest.json"
ALONE = Team()
Layout = list[list[tuple[str, int]]]


@dataclass(frozen=True)
class Manifest:
    """What a checkpoint holds: position, flat layout of the shards, checksums, held-out loss if known."""

    phase: str
    step: int
    layout: Layout
    files: dict[str, str]
    division: Division = "flat"
    loss: float | None = None


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
        if key not in self._file.keys():  # noqa: SIM118  # not a mapping itself
            raise KeyError(key)
        return self._file.get_slice(key)

    def __iter__(self) -> Iterator[str]:
        return iter(self._file.keys())

    def __len__(self) -> int:
        return len(self._file.keys())


def prepare(root: Path, position: tuple[str, int], team: Team) -> Path:
    """Make the folder of a new checkpoint at `position`, a phase and step. Every worker calls this."""
    phase, step = position
    folder = root / f"{phase}-{step:08d}"
    if team.rank == 0:
        shutil.rmtree(folder, ignore_errors=True)  # what a killed attempt left
        folder.mkdir(parents=True)
    team.wait()
    return folder


def write(folder: Path, shard: Mapping[str, Tensor], team: Team) -> tuple[str, str]:
    """Write this worker's shard and see it to the disk; return its name and checksum."""
    name = f"rank-{team.rank:05d}-of-{team.size:05d}.safetensors"
    save_file(dict(shard), folder / name)
    sync(folder / name)
    return name, checksum(folder / name)


def seal(folder: Path, manifest: Manifest, files: Mapping[str, str]) -> None:
    """Write the manifest, with the checksums of `files`, which all are there: now the checkpoint counts."""
    write_json(folder / MANIFEST, asdict(replace(manifest, files=dict(files))))


def latest(
    root: Path,
    phases: Sequence[str],
    warn: Callable[[str], None] = lambda text: None,
    team: Team = ALONE,
) -> Checkpoint | None:
    """Return the newest complete checkpoint of `phases` (in order of time); `warn` hears of damaged ones.

    Workers of a team all call this, and each reads its share of the files.
    """
    found = [c for folder in root.glob("*") if (c := read(folder)) and c.manifest.phase in phases]
    found.sort(key=lambda c: (phases.index(c.manifest.phase), c.manifest.step), reverse=True)
    for checkpoint in found:
        damaged = damaged_files(checkpoint, team)
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


def damaged_files(checkpoint: Checkpoint, team: Team = ALONE) -> list[str]:
    """Return the names of shards that are missing or differ from the manifest."""
    names = sorted(checkpoint.manifest.files)
    wrong = [
        name
        for name, path in ((name, checkpoint.folder / name) for name in names[team.rank :: team.size])
        if not path.is_file() or checksum(path) != checkpoint.manifest.files[name]
    ]
    return sorted(name for names in team.gather(wrong) for name in names)


def keep(root: Path, last: int, best: int = 0) -> None:
    """Delete all but the `last` youngest checkpoints and the `best` by held-out loss of the youngest's phase.

    Each that goes loses its manifest first.
    """
    found = [checkpoint for folder in root.glob("*") if (checkpoint := read(folder))]
    found.sort(key=lambda checkpoint: (checkpoint.folder / MANIFEST).stat().st_mtime_ns)
    rated = [c for c in found if c.manifest.loss is not None and c.manifest.phase == found[-1].manifest.phase]
    rated.sort(key=lambda checkpoint: checkpoint.manifest.loss or 0.0)
    kept = {checkpoint.folder for checkpoint in found[-last:] + rated[:best]}
    for folder in (checkpoint.folder for checkpoint in found if checkpoint.folder not in kept):
        (folder / MANIFEST).unlink()
        shutil.rmtree(folder)


def checksum(path: Path) -> str:
    """Return a file's SHA-256."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
