"""Snapshots of a phase while it trains: taken at once, written by a thread, sealed when all have written.

Steps go on meanwhile. A snapshot counts once its manifest is there, which the first worker writes after all
workers' parts are on the disk; until then the one before counts. One is written at a time.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from training.checkpoints import checkpoint as checkpoints
from training.checkpoints.checkpoint import Checkpoint, Manifest
from training.errors import TrainingError
from training.parallel.engine import Engine
from training.parallel.team import Team

Written = tuple[str, str]  # a file's name and checksum
Report = Callable[[int, str], None]


@dataclass(frozen=True)
class Keep:
    """Which checkpoints stay: the `last` youngest, and the `best` ones of the phase by held-out loss."""

    last: int
    best: int


class Saver:
    """Saves what `engine` trains in `phase`. `report` hears, on the first worker, of a step not saved, and
    why.
    """

    def __init__(
        self, root: Path, phase: str, engine: Engine, team: Team, keep: Keep, report: Report
    ) -> None:
        self._root, self._phase, self._engine, self._team = root, phase, engine, team
        self._keep, self._report = keep, report
        self._writing: _Writing | None = None

    def start(self, step: int, loss: float | None = None) -> None:
        """Take a snapshot after `step` and begin to write it; `loss` is the held-out one there, if known.

        Every worker calls this; it waits for one that is still being written.
        """
        self.complete()
        engine, team = self._engine, self._team
        shard, layout = engine.shard(), engine.layout()
        folder = checkpoints.prepare(self._root, (self._phase, step), team)
        manifest = Manifest(self._phase, step, layout, {}, engine.division, loss)
        self._writing = _Writing(folder, manifest, shard, team)

    @property
    def written(self) -> bool:
        """Whether this worker has a part on the disk, or failed to bring it there, that is not sealed yet."""
        return self._writing is not None and not self._writing.is_alive()

    def complete(self) -> str | None:
        """See what is being written to its end and seal it; return why it could not be, if so.

        Every worker calls this.
        """
        if self._writing is None:
            return None
        writing, self._writing = self._writing, None
        writing.join()
        found = self._team.gather((writing.written, writing.failure))
        failed = [f"worker {rank}: {failure}" for rank, (_, failure) in enumerate(found) if failure]
        if self._team.rank == 0 and not failed:
            failed = self._seal(writing, dict(written for written, _ in found if written))
        why = self._team.gather("; ".join(failed))[0]
        if why and self._team.rank == 0:
            self._report(writing.manifest.step, why)
        return why or None

    def _seal(self, writing: _Writing, files: Mapping[str, str]) -> list[str]:
        try:
            checkpoints.seal(writing.folder, writing.manifest, files)
            checkpoints.keep(self._root, self._keep.last, self._keep.best)
        except OSError as error:
            return [_said(error)]
        return []

    def abandon(self) -> None:
        """Wait for this worker's own thread alone: others may be gone."""
        if self._writing is not None:
            self._writing.join()
            self._writing = None

    def roll_back(self) -> int:
        """Return to the newest checkpoint of the phase; return its step."""
        self.complete()
        found = checkpoints.latest(self._root, [self._phase], print, self._team)
        if found is None:
            raise TrainingError(f"{self._phase}: no checkpoint is left to roll back to")
        return self.restore(found)

    def restore(self, found: Checkpoint) -> int:
        """Take the state of a checkpoint; return its step. Raises TrainingError if it is of another model."""
        if found.manifest.layout != self._engine.layout():
            raise TrainingError(f"checkpoint {found.folder} is of a model with other parameters")
        self._engine.load(found.shards(), found.manifest.division)
        return found.manifest.step


class _Writing(threading.Thread):
    """Writes one worker's shard."""

    def __init__(self, folder: Path, manifest: Manifest, shard: Mapping[str, Tensor], team: Team) -> None:
        super().__init__(name=f"write-{folder.name}", daemon=True)
        self.folder, self.manifest = folder, manifest
        self.written: Written | None = None
        self.failure: str | None = None
        self._shard, self._team = shard, team
        self.start()

    def run(self) -> None:
        try:
            self.written = checkpoints.write(self.folder, self._shard, self._team)
        except Exception as error:  # noqa: BLE001  # a thread's outermost frame: all of it is reported
            self.failure = _said(error)
        finally:
            self._shard = {}


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
