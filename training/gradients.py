"""A self-test of gradients: two processes, accumulation and clipping, DeepSpeed beside plain PyTorch.

Versions of DeepSpeed have lost the last micro-batch's gradient (0.18.6 to 0.19.0). This trains one small
network both ways and compares what comes out.
"""

from __future__ import annotations

import os
import socket
import tempfile
from pathlib import Path
from typing import NamedTuple

import torch
import torch.distributed as dist
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.multiprocessing.spawn import spawn
from torch.nn.parallel import DistributedDataParallel

from training.config import StageSection
from training.engine import Engine, join

RANKS, STEPS, MICRO_BATCHES = 2, 4, 3
TOLERANCE = 1e-4
"""Relative: float32 sums in another order differ by less, a lost micro-batch by a third."""
_SETTINGS = StageSection(learning_rate=0.01, weight_decay=0.1, max_grad_norm=0.5)


class Difference(NamedTuple):
    """The largest relative differences over all steps, and whether they are within TOLERANCE."""

    gradient_norm: float
    weights: float

    @property
    def passed(self) -> bool:
        """Whether both ways trained the same."""
        return all(value <= TOLERANCE for value in self)


def compare() -> Difference:
    """Train both ways on RANKS processes of this machine's CPUs and return how far apart they end."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        spawn(_rank, args=(port, folder), nprocs=RANKS)  # type: ignore[no-untyped-call]
        found = load_file(Path(folder) / "found.safetensors")
    ways = {way: {n: t for n, t in found.items() if n.startswith(way)} for way in ("plain", "ours")}
    distances = {
        name: _distance(ways["ours"][name.replace("plain", "ours", 1)], value)
        for name, value in ways["plain"].items()
    }
    norm = distances.pop("plain/norms")
    return Difference(norm, max(distances.values()))


class _Net(nn.Module):
    """A layer that runs twice, and a gain."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.twice, self.norm, self.out = nn.Linear(5, 7), nn.LayerNorm(7), nn.Linear(7, 3)

    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast("cpu", enabled=False):
            losses: Tensor = self.out(self.norm(self.twice(x)) + self.twice(x.flip(1))).pow(2).mean(dim=1)
        return losses


def _rank(rank: int, port: int, folder: str) -> None:
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port), WORLD_SIZE=str(RANKS))
    os.environ.update(RANK=str(rank), LOCAL_RANK=str(rank), DS_ACCELERATOR="cpu")
    os.dup2(2, 1)  # DeepSpeed logs to standard output, which is the command's own
    torch.set_num_threads(1)
    dist.init_process_group("gloo")
    join(torch.device("cpu"))
    found = {f"plain/{name}": value for name, value in _plainly().items()}
    found.update({f"ours/{name}": value for name, value in _by_engine().items()})
    if rank == 0:
        save_file(found, Path(folder) / "found.safetensors")
    dist.destroy_process_group()


def _plainly() -> dict[str, Tensor]:
    net = _Net()
    matrices, others = ([p for p in net.parameters() if (p.ndim > 1) is wanted] for wanted in (True, False))
    groups = [
        {"params": matrices, "weight_decay": _SETTINGS.weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=_SETTINGS.learning_rate)
    wrapped, norms = DistributedDataParallel(net), []
    for step in range(STEPS):
        optimizer.zero_grad()
        for x in _inputs(step):
            (wrapped(x).mean() / MICRO_BATCHES).backward()
        norms.append(float(nn.utils.clip_grad_norm_(net.parameters(), _SETTINGS.max_grad_norm)))
        optimizer.step()
    return {"norms": torch.tensor(norms), **{n: p.detach().clone() for n, p in net.named_parameters()}}


def _by_engine() -> dict[str, Tensor]:
    net = _Net()
    engine, norms = Engine(net, _SETTINGS, torch.device("cpu")), []
    for step in range(STEPS):
        for x in _inputs(step):
            engine.backward(engine.losses(x).mean() / MICRO_BATCHES)
        norms.append(engine.step(_SETTINGS.learning_rate).grad_norm)
    return {"norms": torch.tensor(norms), **{n: p.detach().clone() for n, p in net.named_parameters()}}


def _inputs(step: int) -> list[Tensor]:
    source = torch.Generator().manual_seed(100 * step + dist.get_rank())
    return [torch.randn(4, 5, generator=source) for _ in range(MICRO_BATCHES)]


def _distance(value: Tensor, expected: Tensor) -> float:
    return float((value - expected).abs().max() / expected.abs().max())
