"""DeepSpeed, here (and in zero.py) alone: ZeRO with float32 masters and bf16 autocast, over NCCL or gloo.

Autocast rather than DeepSpeed's bf16 mode: that one casts every registered parameter, Wan's float32 modules
too, and what is exported would be the rounded copy. Here the parameters are the masters; only products run in
bf16, and gradients are summed in float32. In stage 1 there are no gradient hooks: backward passes accumulate
in `.grad` and `step` reduces them once, so the order in which modules run, and how often, cannot change the
result. In stages 2 and 3 each backward pass reduces; all workers must make equally many.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
import torch.distributed as dist
from torch import Tensor, nn

from training.config import StageSection
from training.parallel.decay import decaying
from training.parallel.partition import Division, Shard, part, pieces
from training.parallel.zero import Each, Flat
from training.parallel.zero import settings as zero_settings

MOMENTS = ("exp_avg", "exp_avg_sq")
STEP = "step"
AVERAGE = "average"


class Stepped(NamedTuple):
    """`grad_norm` before clipping, of all and by part of the module; `applied` is false if gradients were not
    finite and nothing changed.
    """

    grad_norm: float
    applied: bool
    parts: dict[str, float]


def join(device: torch.device) -> None:
    """Let DeepSpeed use this process's group: the one already made, else from the environment's variables."""
    deepspeed = _deepspeed(device)
    backend = "nccl" if device.type == "cuda" else "gloo"
    deepspeed.init_distributed(dist_backend=backend, auto_mpi_discovery=False, verbose=False)


def _deepspeed(device: torch.device) -> Any:
    os.environ["DS_ACCELERATOR"] = device.type
    import deepspeed

    if device.type == "cpu":
        # Its shared-memory all-reduce would be compiled at the first start: 50 s and a C++ compiler.
        deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False
    return deepspeed


class Engine:
    """Trains the parameters of `module` that require gradients; `module(…)` must return one loss a sample.

    Stage `zero` 3 divides the parameters of the module `divided` too, which all workers must run alike.
    """

    def __init__(
        self,
        module: nn.Module,
        settings: StageSection,
        device: torch.device,
        ema_decay: float | None = None,
        zero: int = 1,
        divided: nn.Module | None = None,
    ) -> None:
        self._module, self._stage = module, zero
        self._names = {id(p): name for name, p in module.named_parameters() if p.requires_grad}
        self._parameters = [p for p in module.parameters() if p.requires_grad]
        # One kernel over the flat weights: PyTorch's default reads and writes them a dozen times.
        optimizer = torch.optim.AdamW(
            decaying(self._parameters, settings.weight_decay),
            lr=settings.learning_rate,
            fused=device.type == "cuda",
        )
        self._engine, *_ = _deepspeed(device).initialize(
            model=module, optimizer=optimizer, config=_configuration(settings, zero), dist_init_required=False
        )
        self._zero: Flat | Each = (
            Each(self._engine, self._parameters, divided or module)
            if zero == 3
            else Flat(self._engine, self._parameters, reducing=zero == 2)
        )
        lengths = {id(p): getattr(p, "ds_numel", p.numel()) for p in self._parameters}
        self._layout = [[(self._names[id(p)], lengths[id(p)]) for p in g] for g in self._zero.groups()]
        self._by_part: dict[str, float] = {}
        self._measure()
        self._decay = ema_decay
        self._averages = [flat.detach().clone() for flat in self._masters] if ema_decay else []

    def losses(self, *inputs: Any) -> Tensor:
        """Run the module under bf16 autocast."""
        losses: Tensor = self._engine(*inputs)
        return losses

    def backward(self, loss: Tensor) -> None:
        """Add the gradients of `loss` to those of this step."""
        self._engine.backward(loss)

    def step(self, learning_rate: float) -> Stepped:
        """Average the gradients over workers, clip, update. Parameters without a gradient count as zeros."""
        for parameter in self._parameters if self._stage == 1 else ():
            if parameter.grad is None:  # a part that this worker's samples did not touch; others' may have
                parameter.grad = torch.zeros_like(parameter)
        for group in self._engine.optimizer.param_groups:
            group["lr"] = learning_rate
        self._engine.step()
        applied = bool(self._engine.was_step_applied())
        if applied:
            self._average()
        return Stepped(float(self._engine.get_global_grad_norm()), applied, self._by_part)

    def _measure(self) -> None:
        """Have each step take the norms of reduced gradients by part, before they are clipped and gone."""
        step = self._zero.optimizer.step
        labels = sorted({_label(name) for name in self._names.values()})
        owners = [dict(self._owners(number)) for number in range(len(self._masters))]

        def measured(*inputs: Any, **named: Any) -> Any:
            found: dict[str, list[Tensor]] = {label: [] for label in labels}
            for owner, tensors in zip(owners, self._zero.gradients(), strict=True):
                offset = 0
                for tensor in tensors:
                    if offset in owner:  # else it pads
                        found[owner[offset]].append(tensor)
                    offset += tensor.numel()
            here = self._masters[0].device  # of what this worker has none of, the norm is a zero on the CPU
            norms = [nn.utils.get_total_norm(found[label]).to(here, torch.float64) for label in labels]
            squares = torch.stack(norms) ** 2
            if dist.is_initialized():
                dist.all_reduce(squares)
            self._by_part = dict(zip(labels, squares.sqrt().tolist(), strict=True))
            self._zero.use_norm(math.hypot(*self._by_part.values()))
            return step(*inputs, **named)

        self._zero.optimizer.step = measured

    def _owners(self, number: int) -> Iterator[tuple[int, str]]:
        for piece in pieces(*self._mine(number)):
            yield piece.offset, _label(piece.name)

    def _average(self) -> None:
        """Move this worker's part of the average on, faster at first: it began as untrained weights."""
        for flat, average in zip(self._masters, self._averages, strict=False):
            taken = float(self._state(flat)[STEP])
            decay = min(self._decay or 0.0, (1 + taken) / (10 + taken))
            average.lerp_(flat.detach(), 1 - decay)

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Give the module its moving average for a while, if one is kept."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    def adopt_average(self) -> None:
        """Give the module its moving average for good, if one is kept."""
        self._swap()
        self._averages = []

    def _swap(self) -> None:
        for flat, average in zip(self._masters, self._averages, strict=False):
            weights = flat.detach().clone()
            flat.data.copy_(average)
            average.copy_(weights)
        if self._averages:
            self._zero.push()

    @contextmanager
    def whole(self) -> Iterator[None]:
        """Let each worker run the module by itself for a while, without gradients."""
        with self._zero.whole():
            yield

    def drop(self) -> None:
        """Forget the gradients of this step."""
        self._zero.drop()

    def shard(self) -> dict[str, Tensor]:
        """Return this worker's part of the flat master weights, moments and average, by group, on the CPU."""
        tensors: dict[str, Tensor] = {}
        for number, flat in enumerate(self._masters):
            tensors[f"{number}.weight"] = flat
            state = self._state(flat)
            tensors.update({f"{number}.{name}": state[name] for name in MOMENTS if name in state})
            if self._averages:
                tensors[f"{number}.{AVERAGE}"] = self._averages[number]
            tensors[f"{number}.{STEP}"] = torch.as_tensor(state.get(STEP, 0.0)).reshape(1)
        return {name: tensor.detach().cpu().clone() for name, tensor in tensors.items()}

    def layout(self) -> list[list[tuple[str, int]]]:
        """Return each group's parameters in flat order, with their lengths: what shards of any count mean."""
        return self._layout

    @property
    def division(self) -> Division:
        """How shards divide the layout among workers."""
        return self._zero.division

    def load(self, shards: Sequence[Shard], division: Division = "flat") -> None:
        """Take the state of all workers' shards in order of rank, from any number of workers and stage."""
        for number, flat in enumerate(self._masters):
            flat.data.copy_(self._part(number, "weight", shards, division))
            if self._averages:
                self._averages[number].copy_(self._part(number, AVERAGE, shards, division))
            if f"{number}.{MOMENTS[0]}" not in shards[0]:  # saved before the first step
                self._zero.optimizer.optimizer.state.pop(flat, None)
                continue
            step = shards[0][f"{number}.{STEP}"][:].reshape(())
            moments = {name: self._part(number, name, shards, division).to(flat.device) for name in MOMENTS}
            self._zero.optimizer.optimizer.state[flat] = {STEP: step.clone().to(flat.device), **moments}
        self._zero.push()

    def _part(self, number: int, name: str, shards: Sequence[Shard], division: Division) -> Tensor:
        my_division, group, size, rank, world = self._mine(number)
        return part(shards, f"{number}.{name}", group, division, (my_division, size, rank, world))

    def _mine(self, number: int) -> tuple[Division, list[tuple[str, int]], int, int, int]:
        """Return what `pieces` is asked for this worker's part of group `number`."""
        size, group = self._masters[number].numel(), self._layout[number]
        return self._zero.division, group, size, dist.get_rank(), dist.get_world_size()

    def close(self) -> None:
        """Let go of DeepSpeed's buffers; the module has its parameters whole, with storage of their own."""
        self._zero.close(self._module)

    def _state(self, flat: Tensor) -> dict[str, Tensor]:
        state: dict[str, Tensor] = self._zero.optimizer.optimizer.state[flat]
        return state

    @property
    def _masters(self) -> list[Tensor]:
        """This worker's parts of the flat float32 weights, one of each group."""
        return self._zero.masters


def _label(name: str) -> str:
    """Return the part of the module that a parameter belongs to."""
    return name.removeprefix("parts.").partition(".")[0]


def _configuration(settings: StageSection, zero: int) -> dict[str, Any]:
    return {
        "train_micro_batch_size_per_gpu": 1,  # read by nothing here: losses arrive already weighted
        "gradient_accumulation_steps": 1,
        "managed_gradient_accumulation": False,
        "gradient_clipping": settings.max_grad_norm,
        "zero_allow_untested_optimizer": True,
        "zero_optimization": zero_settings(zero),
        "torch_autocast": {"enabled": True, "dtype": "bfloat16", "lower_precision_safe_modules": []},
        "steps_per_print": None,
        "timers": {"throughput": {"enabled": False}},  # it would wait for the GPU at each step's ends
    }
