"""A run's folder: where everything lies, what is done, and the log of steps."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from training.checkpoint import write_json
from training.stages import PHASES, STAGES, StageName

PHASE_ORDER = {phase.name: number for number, phase in enumerate(PHASES)}


@dataclass(frozen=True)
class Run:
    """Paths of the run in `root`."""

    root: Path

    @property
    def init(self) -> Path:
        """The model before any training."""
        return self.root / "init"

    @property
    def model(self) -> Path:
        """The newest finished stage's model."""
        return self.root / "model"

    @property
    def checkpoints(self) -> Path:
        """Folder of checkpoints, one folder each."""
        return self.root / "checkpoints"

    @property
    def metrics(self) -> Path:
        """One JSON object a line: steps and probes, in order."""
        return self.root / "metrics.jsonl"

    @property
    def failure(self) -> Path:
        """What a worker found wrong with the input or the run, for the job to say."""
        return self.root / "failure.json"

    def stage_model(self, stage: StageName) -> Path:
        """The model after `stage`."""
        return self.root / f"stage-{stage}" / "model"

    def base(self, stage: StageName) -> Path:
        """The model that `stage` starts from."""
        before = STAGES[: STAGES.index(stage)]
        return self.stage_model(before[-1]) if before else self.init

    def record(self, stage: StageName) -> dict[str, Any] | None:
        """What a finished stage wrote down, None if it has not finished."""
        path = self.root / f"stage-{stage}" / "stage.json"
        record: dict[str, Any] | None = json.loads(path.read_text()) if path.exists() else None
        return record

    def finish(self, stage: StageName, record: Mapping[str, Any]) -> None:
        """Write down that `stage` is done. Comes after everything else of the stage."""
        write_json(self.root / f"stage-{stage}" / "stage.json", record)

    def summary(self) -> dict[str, Any]:
        """Return the contract's summary of the finished stages, and write it."""
        records = [record for stage in STAGES if (record := self.record(stage))]
        phases = [phase for record in records for phase in record["phases"]]
        summary = {"run": str(self.root), "stages": phases, "model": str(self.model)}
        write_json(self.root / "summary.json", summary)
        return summary


def append(path: Path, entry: Mapping[str, Any]) -> None:
    """Add one line to a log."""
    with path.open("a") as file:
        file.write(json.dumps(entry, default=str) + "\n")


def entries(path: Path) -> list[dict[str, Any]]:
    """Read a log; a last line that was cut short does not count."""
    if not path.exists():
        return []
    read = []
    for line in path.read_text().splitlines():
        try:
            read.append(json.loads(line))
        except json.JSONDecodeError:
            continue
    return read


def rewind(path: Path, phase: str, step: int) -> list[dict[str, Any]]:
    """Drop what a killed attempt logged after step `step` of `phase`, and return what remains."""
    here = (PHASE_ORDER[phase], step)
    kept = [e for e in entries(path) if _position(e) < here or (_position(e) == here and not _repeats(e))]
    partial = path.with_name(path.name + ".partial")
    partial.write_text("".join(json.dumps(entry) + "\n" for entry in kept))
    partial.replace(path)
    return kept


def _position(entry: Mapping[str, Any]) -> tuple[int, int]:
    return PHASE_ORDER[entry["phase"]], entry["step"]


def _repeats(entry: Mapping[str, Any]) -> bool:
    """Tell whether resuming at the entry's step makes it again: the closing probe."""
    return bool(entry["kind"] == "probe" and entry["step"] > 0)


def first_and_last(log: Sequence[Mapping[str, Any]], phase: str) -> tuple[float | None, float | None]:
    """Return the probe's loss before and after `phase`."""
    probes = [e["loss"] for e in log if e["phase"] == phase and e["kind"] == "probe"]
    return (probes[0], probes[-1]) if probes else (None, None)
