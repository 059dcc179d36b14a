"""DeepSpeed over two processes against plain PyTorch: no Ray, gloo, float32 for a sharp comparison."""

from __future__ import annotations

import math
import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from training.config import StageSection
from training.parallel.engine import Engine, Stepped, join
from training.parallel.team import Team

SETTINGS = StageSection(learning_rate=0.01, weight_decay=0.1, max_grad_norm=0.5)
CPU = torch.device("cpu")
STEPS = 4
Tensors = dict[str, Tensor]


class Net(nn.Module):
    """A layer that runs twice, and two branches of which a sample takes one."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.shared, self.norm = nn.Linear(5, 7), nn.LayerNorm(7)
        self.left, self.right = nn.Linear(7, 3), nn.Linear(7, 3, bias=False)

    def forward(self, x: Tensor, branch: str) -> Tensor:
        """One loss a sample, in float32."""
        with torch.autocast("cpu", enabled=False):
            hidden = self.norm(self.shared(x)) + self.shared(x.flip(1))
            losses: Tensor = getattr(self, branch)(hidden).pow(2).mean(dim=1)
        return losses

    def values(self) -> Tensors:
        """Copies of the parameters."""
        return {name: p.detach().clone() for name, p in self.named_parameters()}


def micro_batches(step: int, rank: int) -> list[tuple[Tensor, str]]:
    """Three a step; on odd steps rank 1 never takes the right branch."""
    source = torch.Generator().manual_seed(100 * step + rank)
    branches = ["left", "left", "left"] if rank and step % 2 else ["left", "right", "left"]
    return [(torch.randn(4, 5, generator=source), branch) for branch in branches]


def advance(engine: Engine, step: int, poisoned: bool = False) -> Stepped:
    """One optimiser step; a poisoned one has a NaN on rank 1."""
    for x, branch in micro_batches(step, dist.get_rank()):
        x = x * float("nan") if poisoned and dist.get_rank() else x
        engine.backward(engine.losses(x, branch).sum() / (3 * len(x)))
    return engine.step(SETTINGS.learning_rate)


def plain(steps: range) -> tuple[Tensors, list[float]]:
    """Parameters and gradient norms of the same training by PyTorch's own data parallelism and AdamW."""
    net = Net()
    matrices = [p for p in net.parameters() if p.ndim > 1]
    others = [p for p in net.parameters() if p.ndim <= 1]
    groups = [{"params": matrices, "weight_decay": 0.1}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=SETTINGS.learning_rate)
    wrapped, norms = DistributedDataParallel(net, find_unused_parameters=True), []
    for step in steps:
        optimizer.zero_grad(set_to_none=False)
        for x, branch in micro_batches(step, dist.get_rank()):
            (wrapped(x, branch).sum() / (3 * len(x))).backward()
        norms.append(float(nn.utils.clip_grad_norm_(net.parameters(), SETTINGS.max_grad_norm)))
        optimizer.step()
    return net.values(), norms


def two_ranks(folder: Path) -> None:
    """What the tests look at: rank 0 leaves parameters and norms of each way to train."""
    found: dict[str, Tensors] = {}
    found["plain"], norms = plain(range(STEPS))
    net = Net()
    engine = Engine(net, SETTINGS, CPU)
    ours, by_part = [], []
    for step in range(STEPS):
        if step == 2:
            save_file(engine.shard(), folder / f"shard-{dist.get_rank()}.safetensors")
            found["at 2"] = net.values()
        stepped = advance(engine, step)
        ours.append(stepped.grad_norm)
        by_part.append(math.hypot(*stepped.parts.values()))
    found["ours"] = net.values()
    applied = advance(engine, STEPS, poisoned=True).applied
    found["poisoned"] = net.values()
    engine.close()
    dist.barrier()
    again = Net()
    engine = Engine(again, SETTINGS, CPU)
    engine.load([load_file(folder / f"shard-{rank}.safetensors") for rank in range(2)])
    for step in range(2, STEPS):
        advance(engine, step)
    found["resumed"] = again.values()
    found["norms"] = {
        "plain": torch.tensor(norms),
        "ours": torch.tensor(ours),
        "by part": torch.tensor(by_part),
        "applied": torch.tensor(applied),
    }
    if dist.get_rank() == 0:
        flat = {f"{way}/{name}": value for way, values in found.items() for name, value in values.items()}
        save_file(flat, folder / "found.safetensors")


def _rank(rank: int, body: Callable[[Path], None], folder: Path, port: int) -> None:
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port), WORLD_SIZE="2")
    os.environ.update(RANK=str(rank), LOCAL_RANK=str(rank), DS_ACCELERATOR="cpu")
    torch.set_num_threads(1)
    dist.init_process_group("gloo")
    join(CPU)
    body(folder)
    dist.destroy_process_group()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What two processes of one gloo group left."""
    folder = tmp_path_factory.mktemp("engine")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    mp.spawn(_rank, args=(two_ranks, folder, port), nprocs=2)
    return folder


@pytest.fixture(scope="module")
def found(folder: Path) -> dict[str, Tensors]:
    """Tensors by way of training."""
    ways: dict[str, Tensors] = {}
    for name, value in load_file(folder / "found.safetensors").items():
        way, _, rest = name.partition("/")
        ways.setdefault(way, {})[rest] = value
    return ways


def test_gradients_are_those_of_plain_data_parallel_training(found: dict[str, Tensors]) -> None:
    """ZeRO-1 agrees over accumulation, clipping, a layer run twice and a branch that one rank never takes."""
    torch.testing.assert_close(found["norms"]["ours"], found["norms"]["plain"], rtol=1e-4, atol=0)
    torch.testing.assert_close(found["norms"]["by part"], found["norms"]["plain"], rtol=1e-4, atol=0)
    torch.testing.assert_close(found["ours"], found["plain"], rtol=1e-5, atol=1e-6)


def test_a_step_that_is_not_finite_on_one_rank_changes_nothing(found: dict[str, Tensors]) -> None:
    """All ranks skip it, and say so."""
    assert not found["norms"]["applied"]
    torch.testing.assert_close(found["poisoned"], found["ours"], rtol=0, atol=0)


def test_resuming_from_shards_is_exact(found: dict[str, Tensors]) -> None:
    """Weights and moments come back bit by bit: the later steps give the same parameters."""
    torch.testing.assert_close(found["resumed"], found["ours"], rtol=0, atol=0)


def test_one_worker_takes_over_from_two(found: dict[str, Tensors], folder: Path, team: Team) -> None:
    """Shards mean the same to any number of workers."""
    net = Net()
    engine = Engine(net, SETTINGS, team.device)
    engine.load([load_file(folder / f"shard-{rank}.safetensors") for rank in range(2)])
    torch.testing.assert_close(net.values(), found["at 2"], rtol=0, atol=0)
    assert int(engine.shard()["0.step"]) == 2
    assert engine.layout()[0][0] == ("shared.weight", 35)
    engine.close()
