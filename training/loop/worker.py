"""The run as one worker lives it: stage after stage, each from the model that the one before it left."""

from __future__ import annotations

import fcntl
import os
import socket
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from omnivideo.errors import InputError
from training.backbones.stage import train_backbones
from training.config import TrainRequest
from training.data.rendered import open_data
from training.data.samples import read_samples
from training.encoding.cache import Cache
from training.encoding.from_shards import Encoded
from training.encoding.identity import remembered
from training.encoding.shards import Shards
from training.loop.context import Context
from training.loop.stage import train_stage
from training.model.origin import write_initial_model
from training.monitoring.curves import Curves
from training.parallel.replicas import Replicas
from training.parallel.team import Team
from training.run import Run
from training.stages import wanted

LOCK_SECONDS = 60.0


def train(request: TrainRequest, team: Team) -> None:
    """Bring the run in `request.out` to its end, from wherever it stands. Every worker calls this.

    `request.version` must be set. Raises InputError for what the recipe or dataset gets wrong, TrainingError
    if a promise of the run breaks.
    """
    run = Run(Path(request.out).resolve())
    with _alone(run, team):
        if request.backbones is not None:
            train_backbones(request, run, team)
        if request.only_stage == "backbones":
            return
        if team.rank == 0 and not run.init.exists():
            write_initial_model(request.model, run.init)
        team.wait()
        dataset = open_data(request.data, request.version)
        encoded = _encoded(run, request, team)
        with closing(Curves(run.curves)) as curves:
            replicas = Replicas.of(team, request.cluster.sequence_parallel)
            cache = Cache(request.stages.cache_megabytes)
            context = Context(request, run, team, dataset, curves, replicas, cache, encoded)
            samples = read_samples(dataset)
            for stage in wanted(request.only_stage):
                if run.record(stage) is None:
                    train_stage(context, stage, samples)
                team.wait()


def _encoded(run: Run, request: TrainRequest, team: Team) -> Encoded | None:
    """Open the encoded shards, if the recipe wants them."""
    section = request.mix.encoded
    if section is None:
        return None
    if team.rank == 0:
        remembered(run.init, run.encoders)
    team.wait()
    shards = Shards(section.folder)
    return Encoded(shards, shards.index(), remembered(run.init, run.encoders), section.dtype)


@contextmanager
def _alone(run: Run, team: Team) -> Iterator[None]:
    """Hold the run's folder for all workers; a killed attempt's workers get a minute to let go of it."""
    if team.rank:
        yield
        return
    run.root.mkdir(parents=True, exist_ok=True)
    with run.lock.open("a+") as handle:
        deadline = time.monotonic() + LOCK_SECONDS
        while not _locked(handle.fileno()):
            if time.monotonic() > deadline:
                handle.seek(0)
                who = f"another command ({handle.read().strip()}) trains into {run.root}"
                raise InputError(who, "train", "wait for it to end")
            time.sleep(0.2)
        handle.truncate(0)
        print(f"process {os.getpid()} on {socket.gethostname()}", file=handle, flush=True)
        yield


def _locked(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
