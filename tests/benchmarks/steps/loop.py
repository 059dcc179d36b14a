"""The real loop under Ray Train and DeepSpeed: phase after phase from encoded shards, nothing exported."""

from __future__ import annotations

import itertools
import json
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import made
import seen
from sizes import SIZES

from training import launch
from training.config import TrainRequest
from training.run import Run

WARM_UP = 3
PROFILED = 2
"""Steps at the end that a profiler looks at: they are not timed."""


class Job(NamedTuple):
    """A phase to train, and by which request."""

    name: str
    phase: str
    request: TrainRequest


def run(jobs: Sequence[Job], size: str, folder: Path) -> None:
    """Have Ray Train start workers that take the jobs one after another; all have as many workers."""
    folder.mkdir(parents=True, exist_ok=True)
    documents = [[job.name, job.phase, job.request.model_dump(mode="json")] for job in jobs]
    (folder / "jobs.json").write_text(json.dumps({"size": size, "jobs": documents, "folder": str(folder)}))
    launch.work = work
    launch.launch(jobs[0].request, Run(folder))


def work(config: dict[str, Any]) -> None:
    """Be one worker: what `training.launch.work` and `training.loop.stage` do for a phase, but for saving."""
    import os

    told = json.loads((Path(config["run"]) / "jobs.json").read_text())
    gpu = told["jobs"][0][2]["cluster"]["use_gpu"]
    os.environ["DS_ACCELERATOR"] = "cuda" if gpu else "cpu"
    import ray.train.torch
    import torch

    from training.parallel.engine import join
    from training.parallel.team import Team

    torch.set_num_threads(told["jobs"][0][2]["cluster"]["cpus_per_worker"])
    device = ray.train.torch.get_device() if gpu else torch.device("cpu")
    join(device)
    team = Team.current(device)
    for name, phase, document in told["jobs"]:
        try:
            _phase(Path(told["folder"]) / name, phase, document, told["size"], team)
        except Exception as error:  # the next job may still run
            print(f"{name} failed: {type(error).__name__}: {error}", flush=True)
            if team.size > 1:
                raise
        torch.cuda.empty_cache()


def _phase(root: Path, name: str, document: dict[str, Any], size: str, team: Any) -> None:
    from omnivideo.model import OmniVideoModel
    from training.batches.phase_plan import plan_phase
    from training.encoding.cache import Cache
    from training.encoding.from_shards import Encoded
    from training.encoding.identity import identify
    from training.encoding.shards import Shards
    from training.loop.context import Context
    from training.loop.stage import _place
    from training.monitoring.curves import Curves
    from training.parallel.replicas import Replicas
    from training.stages import PHASES

    root.mkdir(parents=True, exist_ok=True)
    request = TrainRequest.model_validate(document)
    assert request.mix.encoded is not None
    assert request.model.path is not None
    folder, base = Run(root), Path(request.model.path)
    shards = Shards(request.mix.encoded.folder)
    encoded = Encoded(shards, shards.index(), identify(base), request.mix.encoded.dtype)
    replicas = Replicas.of(team, request.cluster.sequence_parallel)
    dataset: Any = None  # all of it is in the shards
    cache = Cache(request.stages.cache_megabytes)
    shared = Context(request, folder, team, dataset, Curves(folder.curves), replicas, cache, encoded)
    model = OmniVideoModel.from_pretrained(base)
    _place(model, shared)
    phase = next(phase for phase in PHASES if phase.name == name)
    plan = plan_phase(phase, request, made.samples(SIZES[size]), 0)
    loop = _timed_loop()(shared, phase, plan, model)
    loop.run(None)
    if team.rank == 0:
        (root / "periods.json").write_text(json.dumps(loop.starts))
        seen.write(list(loop.seen), Path(folder.root.parent) / f"kernels-{root.name}.txt")


def _timed_loop() -> Any:
    from training.loop.phase import PhaseLoop

    class Timed(PhaseLoop):
        """The loop, that notes when each step starts, saves nothing, and looks at its last steps."""

        seen: tuple[str, ...] = ()

        def __init__(self, *inputs: Any) -> None:
            super().__init__(*inputs)
            self.saver: Any = _Unsaved()
            self.starts: list[float] = []

        def _step(self, step: int) -> None:
            if step < self.plan.steps - PROFILED:
                self.starts.append(time.perf_counter())
                super()._step(step)
            elif step == self.plan.steps - PROFILED:
                self.starts.append(time.perf_counter())
                self.seen = tuple(seen.seen(self._last, self.context.team.device))

        def _last(self) -> None:
            for step in range(self.plan.steps - PROFILED, self.plan.steps):
                super()._step(step)

    return Timed


class _Unsaved:
    """Stands for what saves checkpoints."""

    written = False

    def start(self, step: int, loss: float | None = None) -> None:
        """Nothing."""

    def complete(self) -> None:
        """Nothing."""

    def abandon(self) -> None:
        """Nothing."""


class Outcome(NamedTuple):
    """Of a job: seconds from one step's start to the next's, and what the log says of the steps."""

    seconds: float
    all_seconds: list[float]
    data_wait: float
    gibibytes: float
    mfu: float
    loss: float
    norms: list[float]
    skipped: int
    choices: dict[str, Any]


def outcome(folder: Path, job: str) -> Outcome:
    """Read what a job left."""
    lines = [json.loads(line) for line in (folder / job / "metrics.jsonl").read_text().splitlines()]
    steps = [line for line in lines if line["kind"] in {"step", "skipped"}][WARM_UP:-PROFILED]
    skipped = sum(line["kind"] == "skipped" for line in lines)
    starts = json.loads((folder / job / "periods.json").read_text())
    periods = [after - now for now, after in itertools.pairwise(starts)][WARM_UP:]

    def median(name: str) -> float:
        return float(statistics.median(line[name] for line in steps))

    first = next(line for line in lines if line["kind"] == "probe")
    return Outcome(
        *(statistics.median(periods), [round(p, 4) for p in periods], median("data_wait")),
        *(steps[-1]["memory_gib"], median("mfu"), steps[-1]["loss"]),
        *([line["grad_norm"] for line in steps], skipped, first["device"]),
    )
