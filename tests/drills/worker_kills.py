"""kill -9 at random points of a run: each time it goes on, and ends as if nothing had happened.

    python -m tests.drills.worker_kills [--kills 20] [--seed 0] [--sequence-parallel 1] [--zero 1]

Trains the tiny model through all stages with two workers under Ray, once undisturbed. Then again, and at
random steps sends SIGKILL to one of its workers, which Ray starts again, or to the whole job with all its
processes, which is then run again. Prints a line for each kill; exits with 1 unless loss curve and weights
are the same to the last bit.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import psutil

from tests.training.conftest import tiny_request, write_dataset
from training.checkpoints import checkpoint
from training.config import TrainRequest
from training.run import PHASE_ORDER, TIMED, Run, entries
from training.stages import PHASES

STEPS, EVERY = 12, 3
LONGEST_SECONDS = 300.0  # between two steps, Ray's start included
JOB = """
import sys, ray
from training.job import main
ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="error")
sys.exit(main(sys.argv[1:]))
"""


class Point(NamedTuple):
    """A step of a run, counted over all phases, and who is killed there: worker 0 or 1, or the job (-1)."""

    step: int
    victim: int


def main() -> int:
    """Run the drill."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name, default in (("kills", 20), ("seed", 0), ("sequence-parallel", 1), ("zero", 1)):
        parser.add_argument(f"--{name}", type=int, default=default)
    asked = parser.parse_args()
    cluster = {"num_workers": 2, "sequence_parallel": asked.sequence_parallel, "zero": asked.zero}
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        data = write_dataset(
            folder / "data", {"text_to_image": 6, "text_to_video": 5, "image_edit": 2, "video_edit": 2}
        )
        calm, shaken = (
            drill_request(data, folder / name, {**cluster, "max_failures": 2 * asked.kills})
            for name in ("calm", "shaken")
        )
        finish(calm)
        print("| kill | victim | after | newest checkpoint | training again after |\n|---|---|---|---|---|")
        shake(shaken, points(asked.kills, random.Random(asked.seed)))
        same = outcome(Run(folder / "calm")) == outcome(Run(folder / "shaken"))
    print(f"\nloss curve and weights are {'the same to the last bit' if same else 'NOT THE SAME'}")
    return 0 if same else 1


def drill_request(data: str, out: Path, cluster: dict[str, Any]) -> TrainRequest:
    """All stages of the tiny model, a checkpoint every few steps."""
    request = tiny_request(data, out, STEPS, cluster=cluster)
    return request.model_copy(
        update={"stages": request.stages.model_copy(update={"checkpoint_every": EVERY})}
    )


def points(kills: int, chance: random.Random) -> list[Point]:
    """Choose where to kill, in order, and whom."""
    steps = sorted(chance.sample(range(1, STEPS * len(PHASES)), kills))
    return [Point(step, chance.choice((0, 0, 1, 1, -1))) for step in steps]


def finish(request: TrainRequest) -> None:
    """Run a job to its end."""
    if _start(request).wait():
        raise SystemExit(f"the job failed: {_noise_path(request).read_text()[-2000:]}")


def shake(request: TrainRequest, wanted: list[Point]) -> None:
    """Run a job to its end in spite of kills."""
    run, job = Run(Path(request.out)), _start(request)
    chance = random.Random(len(wanted))
    for number, point in enumerate(wanted, start=1):
        _await(run, point.step, job)
        time.sleep(chance.random() * 0.3)  # anywhere in a step, or while a checkpoint is written
        reached = newest(run)
        _kill(job, point.victim, run)
        found = checkpoint.latest(run.checkpoints, [phase.name for phase in PHASES])
        where = "none" if found is None else f"{found.manifest.phase} {found.manifest.step}"
        killed = time.time()
        if point.victim < 0:
            job = _start(request)
        seconds = _await_again(run, job, killed)
        who = "the job" if point.victim < 0 else f"worker {point.victim}"
        print(f"| {number} | {who} | {reached} | {where} | {seconds:.0f} s |", flush=True)
    if job.wait():
        raise SystemExit(f"the job failed: {_noise_path(request).read_text()[-2000:]}")


def position(run: Run) -> int:
    """Return how many steps of the whole run are done."""
    log = [e for e in entries(run.metrics) if e["kind"] == "step"]
    return STEPS * PHASE_ORDER[log[-1]["phase"]] + log[-1]["step"] if log else 0


def newest(run: Run) -> str:
    """Return the last step that was logged."""
    log = entries(run.metrics)
    return f"{log[-1]['phase']} {log[-1]['step']}" if log else "nothing"


def outcome(run: Run) -> tuple[list[dict[str, Any]], dict[str, bytes]]:
    """Return the log without what depends on the clock, and the final weights."""
    log = [{k: v for k, v in entry.items() if k not in TIMED} for entry in entries(run.metrics)]
    return log, {str(p.relative_to(run.model)): p.read_bytes() for p in run.model.rglob("*.safetensors")}


def _await(run: Run, step: int, job: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + LONGEST_SECONDS
    while position(run) < step:
        if job.poll() is not None or time.monotonic() > deadline:
            raise SystemExit(f"the run stands still after {newest(run)}")
        time.sleep(0.02)


def _await_again(run: Run, job: subprocess.Popen[bytes], killed: float) -> float:
    """Return how long it took until the log was written again."""
    deadline = time.monotonic() + LONGEST_SECONDS
    while run.metrics.stat().st_mtime < killed and run.record("3") is None:
        if job.poll() or time.monotonic() > deadline:
            raise SystemExit(f"the run does not go on after {newest(run)}")
        time.sleep(0.05)
    return time.time() - killed


def _kill(job: subprocess.Popen[bytes], victim: int, run: Run) -> None:
    children = psutil.Process(job.pid).children(recursive=True)
    if victim < 0:
        for process in (psutil.Process(job.pid), *children):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        job.wait()
        return
    first = int(run.lock.read_text().split()[1])
    workers = [p for p in children if "RayTrainWorker" in _title(p)]
    chosen = [p for p in workers if (p.pid == first) == (victim == 0)] or workers
    with contextlib.suppress(psutil.NoSuchProcess):
        chosen[0].kill()


def _title(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def _start(request: TrainRequest) -> subprocess.Popen[bytes]:
    noise = _noise_path(request).open("ab")
    # A session of its own: Ray ends its whole process group.
    return subprocess.Popen(
        [sys.executable, "-c", JOB, request.model_dump_json()],
        **{"stdout": noise, "stderr": noise, "start_new_session": True},
        env={**os.environ, "RAY_ADDRESS": "local"},
    )


def _noise_path(request: TrainRequest) -> Path:
    return Path(request.out).with_suffix(".log")


if __name__ == "__main__":
    sys.exit(main())
