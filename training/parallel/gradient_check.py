"""A self-test of gradients: two processes, accumulation and clipping, DeepSpeed beside plain PyTorch.

Versions of DeepSpeed have lost the last micro-batch's gradient (0.18.6 to 0.19.0); sharing sequences divides
gradients in a way of its own. This trains one small network by each stage of ZeRO, with whole and with shared
sequences, and compares what comes out with PyTorch's own data parallelism.
"""

from __future__ import annotations

import os
import socket
import tempfile
from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import NamedTuple

import torch
import torch.distributed as dist
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.multiprocessing.spawn import spawn
from torch.nn.parallel import DistributedDataParallel

from omnivideo.config import DitConfig
from omnivideo.sequence import SequenceParallel
from training.config import StageSection
from training.parallel.engine import Engine, join
from training.parallel.partition import part

RANKS, STEPS, MICRO_BATCHES, SAMPLES = 2, 3, 3, 2
TOLERANCE = 1e-4
"""Relative: float32 sums in another order differ by less, a lost micro-batch by a third."""
_SETTINGS = StageSection(learning_rate=0.01, weight_decay=0.1, max_grad_norm=0.5)
_DIT = DitConfig(
    num_attention_heads=2, attention_head_dim=12, text_dim=16, freq_dim=16, ffn_dim=48, num_layers=2
)
_SHAPE = (16, 3, 6, 6)  # of latents: 27 tokens, which two processes cannot share evenly
Tensors = dict[str, Tensor]


class Case(NamedTuple):
    """A way to train: the stage of ZeRO, and how many processes share each sequence.

    `scale` is a fault to plant: it multiplies the losses.
    """

    zero: int
    sequence_parallel: int
    scale: float = 1.0

    def __str__(self) -> str:
        return f"ZeRO-{self.zero}, {'sequences shared' if self.sequence_parallel > 1 else 'data parallel'}"


CASES = tuple(Case(zero, each) for zero, each in product((1, 2, 3), (1, RANKS)))


class Difference(NamedTuple):
    """The largest relative differences over all steps and parameters.

    Weights may differ by ten times the tolerance: Adam's first steps divide by gradients near zero.
    """

    gradient_norm: float
    gradients: float
    weights: float

    @property
    def passed(self) -> bool:
        """Whether both ways trained the same."""
        return all(value <= TOLERANCE for value in (*self[:2], self.weights / 10))


def compare(cases: Sequence[Case] = CASES) -> dict[Case, Difference]:
    """Train each way on RANKS processes of this machine's CPUs and return how far from PyTorch's it ends."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        spawn(_rank, args=(port, folder, list(cases)), nprocs=RANKS)  # type: ignore[no-untyped-call]
        plain = load_file(Path(folder) / "plain.safetensors")
        return {case: _difference(load_file(_file(folder, case)), plain) for case in cases}


def _difference(found: Tensors, plain: Tensors) -> Difference:
    far = {"norm": 0.0, "gradient": 0.0, "weight": 0.0}
    for name, expected in plain.items():
        distance = float((found[name] - expected).abs().max() / expected.abs().max())
        kind = name.partition(":")[0]
        far[kind] = distance if distance != distance else max(far[kind], distance)
    return Difference(*far.values())


class _Net(nn.Module):
    """The transformer, and a layer that runs twice before it, on one of two branches."""

    def __init__(self) -> None:
        from omnivideo.decoder import build_dit
        from training.speed.attention import NATIVE, use

        super().__init__()
        torch.manual_seed(0)
        self.twice, self.norm = nn.Linear(8, 16), nn.LayerNorm(16)
        self.left, self.right = nn.Linear(16, 16), nn.Linear(16, 16, bias=False)
        self.dit = build_dit(_DIT)
        use(self.dit, NATIVE)

    def forward(self, latents: Tensor, time: Tensor, words: Tensor, branch: str) -> Tensor:
        """One loss a sample, in float32."""
        with torch.autocast("cpu", enabled=False):
            hidden = self.norm(self.twice(words)) + self.twice(words.flip(1))
            condition = getattr(self, branch)(hidden)
            out = self.dit(latents, time, condition, return_dict=False)[0]
            losses: Tensor = (out - latents).pow(2).flatten(1).mean(dim=1)
        return losses


def _rank(rank: int, port: int, folder: str, cases: Sequence[Case]) -> None:
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port), WORLD_SIZE=str(RANKS))
    os.environ.update(RANK=str(rank), LOCAL_RANK=str(rank), DS_ACCELERATOR="cpu")
    os.dup2(2, 1)  # DeepSpeed logs to standard output, which is the command's own
    torch.set_num_threads(1)
    dist.init_process_group("gloo")
    join(torch.device("cpu"))
    plain = _plainly()
    if rank == 0:
        save_file(plain, Path(folder) / "plain.safetensors")
    for case in cases:
        found = _by_engine(case)
        if rank == 0:
            save_file(found, _file(folder, case))
    dist.destroy_process_group()


def _file(folder: str, case: Case) -> Path:
    return Path(folder) / f"{'-'.join(map(str, case[:]))}.safetensors"


def _plainly() -> Tensors:
    net = _Net()
    matrices, others = ([p for p in net.parameters() if (p.ndim > 1) is wanted] for wanted in (True, False))
    groups = [
        {"params": matrices, "weight_decay": _SETTINGS.weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=_SETTINGS.learning_rate)
    wrapped, norms = DistributedDataParallel(net, find_unused_parameters=True), []
    for step in range(STEPS):
        optimizer.zero_grad(set_to_none=False)
        for batch in _batches(step, dist.get_rank(), RANKS):
            (wrapped(*batch).sum() / (MICRO_BATCHES * SAMPLES)).backward()
        norms.append(float(nn.utils.clip_grad_norm_(net.parameters(), _SETTINGS.max_grad_norm)))
        optimizer.step()
    named = list(net.named_parameters())
    return {
        "norm:all": torch.tensor(norms),
        **{f"gradient:{name}": optimizer.state[p]["exp_avg"].flatten() for name, p in named},
        **{f"weight:{name}": p.detach().flatten().clone() for name, p in named},
    }


def _by_engine(case: Case) -> Tensors:
    net = _Net()
    engine, norms = Engine(net, _SETTINGS, torch.device("cpu"), zero=case.zero, divided=net.dit), []
    group = dist.new_group(list(range(case.sequence_parallel)))
    sequence = SequenceParallel(net.dit, group) if case.sequence_parallel > 1 else None
    replicas = RANKS // case.sequence_parallel
    share = RANKS * MICRO_BATCHES * SAMPLES / RANKS
    for step in range(STEPS):
        for batch in _batches(step, dist.get_rank() // case.sequence_parallel, replicas):
            engine.backward(engine.losses(*batch).sum() / share * case.scale)
        norms.append(engine.step(_SETTINGS.learning_rate).grad_norm)
    found = {"norm:all": torch.tensor(norms), **_joined(engine)}
    if sequence:
        sequence.remove()
    engine.close()
    return found


def _joined(engine: Engine) -> Tensors:
    """Return the first moments, which are sums of gradients, and weights, of all processes together."""
    shards: list[Tensors] = [{}] * RANKS
    dist.all_gather_object(shards, engine.shard())
    found: Tensors = {}
    for number, group in enumerate(engine.layout()):
        lengths = [length for _, length in group]
        for kind, key in (("gradient", "exp_avg"), ("weight", "weight")):
            flat = part(shards, f"{number}.{key}", group, engine.division, ("flat", sum(lengths), 0, 1))
            pieces = zip(group, torch.split(flat, lengths), strict=True)
            found.update({f"{kind}:{name}": piece.clone() for (name, _), piece in pieces})
    return found


def _batches(step: int, replica: int, replicas: int) -> Iterator[tuple[Tensor, Tensor, Tensor, str]]:
    """Yield a replica's micro-batches of the step's; in odd steps the second half knows one branch only."""
    source = torch.Generator().manual_seed(step)
    count = RANKS * MICRO_BATCHES
    for number in range(count):
        latents = torch.randn(SAMPLES, *_SHAPE, generator=source)
        time = torch.rand(SAMPLES, generator=source) * 1000
        words = torch.randn(SAMPLES, 5, 8, generator=source)
        one_sided = step % 2 and number >= count // 2
        branch = "right" if number % 2 and not one_sided else "left"
        if number * replicas // count == replica:
            yield latents, time, words, branch
