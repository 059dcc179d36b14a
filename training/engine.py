"""DeepSpeed, here alone: ZeRO-1 with float32 master weights and bf16 autocast, over NCCL or gloo.

Autocast rather than DeepSpeed's bf16 mode: that one casts every registered parameter, Wan's float32 modules
too, and what is exported would be the rounded copy. Here the parameters are the masters; only products run in
bf16, and gradients are summed in float32. There are no gradient hooks: backward passes accumulate in `.grad`
and `step` reduces them once, so the order in which modules run, and how often, cannot change the result.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
import torch.distributed as dist
from torch import Tensor, nn

from training.config import StageSection

MOMENTS = ("exp_avg", "exp_avg_sq")
STEP = "step"
AVERAGE = "average"


class Stepped(NamedTuple):
    """`grad_norm` before clipping; `applied` is false if gradients were not finite and nothing changed."""

    grad_norm: float
    applied: bool


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
    """Trains the parameters of `module` that require gradients; `module(…)` must return one loss a sample."""

    def __init__(
        self,
        module: nn.Module,
        settings: StageSection,
        device: torch.device,
        ema_decay: float | None = None,
    ) -> None:
        self._names = {id(p): name for name, p in module.named_parameters() if p.requires_grad}
        self._parameters = [p for p in module.parameters() if p.requires_grad]
        # One kernel over the flat weights: PyTorch's default reads and writes them a dozen times.
        optimizer = torch.optim.AdamW(
            _groups(self._parameters, settings), lr=settings.learning_rate, fused=device.type == "cuda"
        )
        self._engine, *_ = _deepspeed(device).initialize(
            model=module, optimizer=optimizer, config=_configuration(settings), dist_init_required=False
        )
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
        for parameter in self._parameters:
            if parameter.grad is None:  # a part that this worker's samples did not touch; others' may have
                parameter.grad = torch.zeros_like(parameter)
        for group in self._engine.optimizer.param_groups:
            group["lr"] = learning_rate
        self._engine.step()
        applied = bool(self._engine.was_step_applied())
        if applied:
            self._average()
        return Stepped(float(self._engine.get_global_grad_norm()), applied)

    def _average(self) -> None:
        """Move this worker's part of the average on, faster at first: it began as untrained weights."""
        for flat, average in zip(self._masters, self._averages, strict=False):
            taken = float(self._zero.optimizer.state[flat][STEP])
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
            self._zero.update_lp_params()

    def drop(self) -> None:
        """Forget the gradients of this step."""
        for parameter in self._parameters:
            parameter.grad = None

    def shard(self) -> dict[str, Tensor]:
        """Return this worker's part of the flat master weights, moments and average, by group, on the CPU."""
        tensors: dict[str, Tensor] = {}
        for number, flat in enumerate(self._masters):
            tensors[f"{number}.weight"] = flat
            state = self._zero.optimizer.state[flat]
            tensors.update({f"{number}.{name}": state[name] for name in MOMENTS if name in state})
            if self._averages:
                tensors[f"{number}.{AVERAGE}"] = self._averages[number]
            tensors[f"{number}.{STEP}"] = torch.as_tensor(state.get(STEP, 0.0)).reshape(1)
        return {name: tensor.detach().cpu().clone() for name, tensor in tensors.items()}

    def layout(self) -> list[list[tuple[str, int]]]:
        """Return each group's parameters in flat order, with their lengths: what shards of any count mean."""
        return [[(self._names[id(p)], p.numel()) for p in group] for group in self._zero.bit16_groups]

    def load(self, shards: Sequence[Mapping[str, Tensor]]) -> None:
        """Take the state of all workers' shards in order of rank, from any number of workers."""
        for number, flat in enumerate(self._masters):
            flat.data.copy_(self._part(number, "weight", shards))
            if self._averages:
                self._averages[number].copy_(self._part(number, AVERAGE, shards))
            if f"{number}.{MOMENTS[0]}" not in shards[0]:
                continue
            step = shards[0][f"{number}.{STEP}"].reshape(())
            moments = {name: self._part(number, name, shards).to(flat.device) for name in MOMENTS}
            self._zero.optimizer.state[flat] = {STEP: step.clone().to(flat.device), **moments}
        self._zero.update_lp_params()

    def _part(self, number: int, name: str, shards: Sequence[Mapping[str, Tensor]]) -> Tensor:
        """Join one flat tensor's shards without their padding; return this worker's part with its own."""
        length = sum(p.numel() for p in self._zero.bit16_groups[number])
        whole = torch.cat([shard[f"{number}.{name}"] for shard in shards])[:length]
        size = self._masters[number].numel()
        padded = torch.nn.functional.pad(whole, (0, size * dist.get_world_size() - length))
        return padded[size * dist.get_rank() :][:size]

    def close(self) -> None:
        """Let go of DeepSpeed's buffers; the parameters stay where they are, with storage of their own."""
        for parameter in self._parameters:
            parameter.data = parameter.data.clone()
            parameter.grad = None
        self._engine.destroy()

    @property
    def _masters(self) -> list[Tensor]:
        """This worker's parts of the flat float32 weights, one of each group."""
        parts: list[Tensor] = self._zero.single_partition_of_fp32_groups
        return parts

    @property
    def _zero(self) -> Any:
        return self._engine.optimizer


def _groups(parameters: Sequence[nn.Parameter], settings: StageSection) -> list[dict[str, Any]]:
    """Decay matrices, not gains and biases."""
    matrices = [p for p in parameters if p.ndim > 1]
    others = [p for p in parameters if p.ndim <= 1]
    groups = [(matrices, settings.weight_decay), (others, 0.0)]
    return [{"params": members, "weight_decay": decay} for members, decay in groups if members]


def _configuration(settings: StageSection) -> dict[str, Any]:
    return {
        "train_micro_batch_size_per_gpu": 1,  # read by nothing here: losses arrive already weighted
        "gradient_accumulation_steps": 1,
        "managed_gradient_accumulation": False,
        "gradient_clipping": settings.max_grad_norm,
        "zero_allow_untested_optimizer": True,
        "zero_optimization": {"stage": 1, "contiguous_gradients": False, "overlap_comm": False},
        "torch_autocast": {"enabled": True, "dtype": "bfloat16", "lower_precision_safe_modules": []},
        "steps_per_print": None,
    }
