"""Several workers without Ray: processes of one gloo group, killed with -9 and followed by other teams."""

from __future__ import annotations

import multiprocessing
import os
import signal
import socket
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

import pytest
import torch

from omnivideo.config import preset
from omnivideo.model import OmniVideoModel
from tests.training.conftest import tiny_request
from training.config import TrainRequest
from training.loop.phase import PhaseLoop
from training.loop.worker import train
from training.parallel.engine import join
from training.parallel.team import Team
from training.run import TIMED, Run, entries

STEPS = 5
PROCESSES = multiprocessing.get_context("forkserver")  # imports once, not in each process of each team
PROCESSES.set_forkserver_preload(
    ["training.loop.worker", "omnivideo.pipeline", "deepspeed.runtime.zero.muon.muon_optimizer"]
)


def be_worker(rank: int, port: int, request: TrainRequest, dies_at: int) -> None:
    """One of the request's workers; the last one is killed when it begins step `dies_at`, from 0."""
    workers = request.cluster.num_workers
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port), WORLD_SIZE=str(workers))
    os.environ.update(RANK=str(rank), LOCAL_RANK=str(rank), DS_ACCELERATOR="cpu")
    torch.set_num_threads(1)
    real = PhaseLoop._step

    def step(self: PhaseLoop, number: int) -> None:
        if number == dies_at and rank == workers - 1:
            os.kill(os.getpid(), signal.SIGKILL)
        real(self, number)

    PhaseLoop._step = step  # type: ignore[method-assign]
    torch.distributed.init_process_group("gloo")
    join(torch.device("cpu"))
    train(request, Team.current(torch.device("cpu")))


def attempt(request: TrainRequest, dies_at: int = -1) -> None:
    """Train until the end or a worker's death, which is all workers' end."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    ranks = range(request.cluster.num_workers)
    team = [PROCESSES.Process(target=be_worker, args=(rank, port, request, dies_at)) for rank in ranks]
    for process in team:
        process.start()
    left = {process.sentinel: process for process in team}
    while left:
        for sentinel in wait(list(left)):
            if left.pop(sentinel).exitcode:  # type: ignore[index]
                for process in left.values():
                    process.kill()
    assert (max(abs(process.exitcode or 0) for process in team) == 0) == (dies_at < 0)


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model, saved."""
    folder = tmp_path_factory.mktemp("origin") / "model"
    OmniVideoModel.build(preset("tiny")).save_pretrained(folder)
    return folder


def request_to(out: Path, data: str, origin: Path, **cluster: Any) -> TrainRequest:
    """The third stage alone, on images and edits, with an average, a checkpoint every second step."""
    changes: dict[str, Any] = {"only_stage": "3", "model": {"path": str(origin)}, "cluster": cluster}
    changes["mix"] = {"weights": {"text_to_image": 1, "image_edit": 1}}
    request = tiny_request(data, out, STEPS, **changes)
    document = request.model_dump(mode="json")
    document["stages"]["ema_decay"] = 0.9
    document["stages"]["stage_3"]["micro_batch_size"] = 1
    return TrainRequest.model_validate(document)


@pytest.fixture(scope="module")
def calm(dataset: str, origin: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Two workers that nothing interrupted."""
    out = tmp_path_factory.mktemp("calm") / "run"
    attempt(request_to(out, dataset, origin, num_workers=2))
    return Run(out)


def log_of(run: Run) -> list[dict[str, Any]]:
    """The log without what depends on the clock."""
    return [{k: v for k, v in entry.items() if k not in TIMED} for entry in entries(run.metrics)]


def test_two_workers_killed_and_resumed_end_as_if_they_had_not_been(
    calm: Run, dataset: str, origin: Path, tmp_path: Path
) -> None:
    """One dies by kill -9, before the first checkpoint and after: the same bits in log and weights."""
    request = request_to(tmp_path / "run", dataset, origin, num_workers=2)
    for dies_at in (1, 3):
        attempt(request, dies_at)
    attempt(request)
    shaken = Run(tmp_path / "run")
    assert log_of(shaken) == log_of(calm)
    for path in calm.model.rglob("*.safetensors"):
        assert path.read_bytes() == (shaken.model / path.relative_to(calm.model)).read_bytes()


def test_teams_of_other_sizes_take_over(calm: Run, dataset: str, origin: Path, tmp_path: Path) -> None:
    """From two workers to four that share sequences under ZeRO-3, to one: the same samples, losses alike."""
    out = tmp_path / "run"
    attempt(request_to(out, dataset, origin, num_workers=2), dies_at=2)
    four = request_to(out, dataset, origin, num_workers=4, sequence_parallel=2, zero=3)
    attempt(four, dies_at=4)
    attempt(request_to(out, dataset, origin, num_workers=1))
    steps, expected = ([e for e in log_of(run) if e["kind"] in {"step", "probe"}] for run in (Run(out), calm))
    assert [(e["kind"], e["step"], e.get("bucket")) for e in steps] == [
        (e["kind"], e["step"], e.get("bucket")) for e in expected
    ]
    assert [e["tasks"] for e in steps] == [pytest.approx(e["tasks"], rel=2e-3) for e in expected]
