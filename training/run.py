"""A run's folder: where everything lies, what is done, and the log of steps."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omnivideo.errors import InputError
from training.checkpoints.atomic import write_json
from training.stages import PHASES, STAGES, StageName

TIMED = frozenset({"seconds", "data_wait", "mfu", "tokens_per_second", "memory_gib", "device"})
"""What a line of the log says of the machine: all else is the same whenever the same run is trained."""
PHASE_ORDER = {phase.name: number for number, phase in enumerate(PHASES)}


def check_output(folder: str) -> None:
    """Raise InputError unless `folder` is there, or can be made, and takes files."""
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        what = f"{folder} cannot be written: {error.strerror}"
        raise InputError(what, "opening the run's folder", "choose another --out") from error


@dataclass(frozen=True)
class Run:
    """Paths of the run in `root`."""

    root: Path

    @property
    def init(self) -> Path:
        """The model before any training."""
        return self.root / "init"

    @property
    def backbones(self) -> Path:
        """Backbones trained for this run, in the folders that released ones come in, and their log."""
        return self.root / "backbones"

    @property
    def model(self) -> Path:
        """The newest finished stage's model."""
        return self.root / "model"

    @property
    def encoders(self) -> Path:
        """Hashes of the initial model's parts, which encoded shards are compared with."""
        return self.root / "encoders.json"

    @property
    def checkpoints(self) -> Path:
        """Folder of checkpoints, one folder each."""
        return self.root / "checkpoints"

    @property
    def metrics(self) -> Path:
        """One JSON object a line: steps and probes, in order."""
        return self.root / "metrics.jsonl"

    @property
    def clips(self) -> Path:
        """Clips made while training, a folder for each step that made some."""
        return self.root / "clips"

    @property
    def page(self) -> Path:
        """The run to look at, one offline page."""
        return self.root / "summary.html"

    @property
    def curves(self) -> Path:
        """TensorBoard's folder."""
        return self.root / "tensorboard"

    @property
    def lock(self) -> Path:
        """Held by the first worker while it trains; says who that is."""
        return self.root / ".lock"

    @property
    def stop(self) -> Path:
        """There while workers are asked to save a checkpoint and end."""
        return self.root / ".stop"

    @property
    def failure(self) -> Path:
        """What a worker found wrong with the input or the run, for the job to say."""
        return self.root / "failure.json"

    def stage_model(self, stage: StageName) -> Path:
        """The model after `stage`."""
        return self.root / f"stage-{stage}" / "model"

    def base(self, stage: StageName) -> Path:
        """The model that `stage` starts from: the stage's before it, else the initial one."""
        before = STAGES[: STAGES.index(stage)]
        found = [self.stage_model(name) for name in before if self.record(name)]
        return found[-1] if found else self.init

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
        phases = [json.loads(path.read_text()) for path in sorted(self.backbones.glob("*.json"))] + phases
        summary = {"run": str(self.root), "stages": phases, "model": str(self.model)}
        write_json(self.root / "summary.json", summary)
        return summary


def append(path: Path, entry: Mapping[str, Any]) -> None:
    """Add one line to a log."""
    with path.open("a") as file:
        file.write(json.dumps(entry, default=str) + "\n")


def entries(path: Path) -> list[dict[str, Any]]:
    """Read a log; a last line that was cut short does not count."""
    return tail(path, 0)[0]


def tail(path: Path, start: int) -> tuple[list[dict[str, Any]], int]:
    """Read a log's whole lines from byte `start`; also return the byte after them."""
    if not path.exists():
        return [], 0
    with path.open("rb") as file:
        file.seek(start)
        lines = [line for line in file.read().splitlines(keepends=True) if line.endswith(b"\n")]
    return [entry for line in lines if (entry := _parse(line))], start + sum(map(len, lines))


def rewind(path: Path, phase: str, step: int) -> None:
    """Drop what a killed attempt logged after step `step` of `phase`."""
    if not path.exists():
        return
    here, length = (PHASE_ORDER[phase], step), 0
    for line in path.read_bytes().splitlines(keepends=True):
        entry = _parse(line)
        if entry is None or _position(entry) > here or (_position(entry) == here and _repeats(entry)):
            break
        length += len(line)
    with path.open("r+b") as file:
        file.truncate(length)  # in place: who follows the log keeps its handle


def _parse(line: bytes) -> dict[str, Any] | None:
    try:
        entry: dict[str, Any] = json.loads(line)
    except json.JSONDecodeError:
        return None
    return entry if line.endswith(b"\n") else None


def _position(entry: Mapping[str, Any]) -> tuple[int, int]:
    return PHASE_ORDER[entry["phase"]], entry["step"]


def _repeats(entry: Mapping[str, Any]) -> bool:
    """Tell whether resuming at the entry's step makes it again: the closing probe."""
    return bool(entry["kind"] == "probe" and entry["step"] > 0)


def first_and_last(log: Sequence[Mapping[str, Any]], phase: str) -> tuple[float | None, float | None]:
    """Return the probe's loss before and after `phase`."""
    probes = [e["loss"] for e in log if e["phase"] == phase and e["kind"] == "probe"]
    return (probes[0], probes[-1]) if probes else (None, None)
