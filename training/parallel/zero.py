"""The stages of ZeRO as the engine sees them: this worker's flat parts, and what differs between stages.

DeepSpeed's optimizers keep these in fields of other names. Stages 2 and 3 reduce gradients while the backward
pass runs, as they come; workers whose samples take other branches have them in another order, or some not at
all, and DeepSpeed would add up what does not belong together. `_InOrder` hands them on in one order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, cast

import torch
from torch import Tensor, nn

from training.parallel.few_passes import FewPasses
from training.parallel.partition import Division


def settings(stage: int) -> dict[str, Any]:
    """Return DeepSpeed's `zero_optimization`."""
    common = {"stage": stage, "contiguous_gradients": False, "overlap_comm": False}
    # Each worker fetches a module's parameters when it comes to it. Fetching ahead goes by the order of an
    # earlier pass, which workers whose samples take other branches do not share.
    third = {
        "stage3_param_persistence_threshold": 0,
        "stage3_prefetch_bucket_size": 0,
        "stage3_max_reuse_distance": 0,
        "sub_group_size": 10**12,
    }
    return common | (third if stage == 3 else {})


class Flat:
    """Stages 1 and 2: optimizer states divided, in stage 2 gradients too."""

    division: Division = "flat"

    def __init__(self, engine: Any, parameters: Sequence[nn.Parameter], reducing: bool) -> None:
        self._engine, self.optimizer = engine, engine.optimizer
        self._parameters = parameters
        if reducing:
            _InOrder(self.optimizer, "process_gradients", parameters)
        elif parameters:
            FewPasses(self.optimizer)

    @property
    def masters(self) -> list[Tensor]:
        """This worker's parts of the float32 weights, one of each group."""
        parts: list[Tensor] = self.optimizer.single_partition_of_fp32_groups
        return parts

    def groups(self) -> list[list[nn.Parameter]]:
        """Return the parameters of each group in flat order."""
        return [list(group) for group in self.optimizer.bit16_groups]

    def gradients(self) -> list[list[Tensor]]:
        """Return the reduced gradients of this worker's parts, in pieces one after another."""
        return [self.optimizer.averaged_gradients[i] for i in range(len(self.masters))]

    def use_norm(self, norm: float) -> None:
        """Clip the next step's gradients by this norm, not by one that is measured anew."""
        self.optimizer.scaled_global_norm = lambda: torch.tensor(norm)  # on the CPU: nobody waits for it

    def push(self) -> None:
        """Have the module's parameters follow the parts."""
        self.optimizer.update_lp_params()

    def drop(self) -> None:
        """Forget the gradients so far."""
        self.optimizer.zero_grad(set_to_none=True)
        for kept in (self.optimizer.averaged_gradients, self.optimizer.all_grad_tensors):
            for number in kept:
                kept[number] = None

    @contextmanager
    def whole(self) -> Iterator[None]:
        """The module computes by itself meanwhile, without other workers: here it always does."""
        yield

    def close(self, module: nn.Module) -> None:
        """Let go of buffers; parameters stay where they are, with storage of their own."""
        for parameter in self._parameters:
            parameter.data = parameter.data.clone()
            parameter.grad = None
        self._engine.destroy()


class Each:
    """Stage 3: the parameters of the module `divided` are so too, all others are kept whole.

    DeepSpeed wants all workers to run the same modules in the same order, and lets go of its own "persistent"
    parameters when they run in another order than before: so it hears of nothing but `divided`.
    """

    division: Division = "each"

    def __init__(self, engine: Any, parameters: Sequence[nn.Parameter], divided: nn.Module) -> None:
        self._engine, self.optimizer = engine, engine.optimizer
        self._parameters = parameters
        inside = {id(p) for p in divided.parameters()}
        self._kept: list[Any] = [p for p in parameters if id(p) not in inside]
        self._partition = {id(p): p.partition for p in self._kept}
        self._pin()
        _InOrder(self.optimizer, "reduce_ready_partitions_and_remove_grads", parameters)
        self._step = self.optimizer.step
        self.optimizer.step = self._step_unpinned
        self._unhook()
        self.optimizer.parameter_offload.module = divided
        self._hook()

    def _step_unpinned(self, *inputs: Any, **named: Any) -> Any:
        self._unpin()
        result = self._step(*inputs, **named)
        self._pin()
        return result

    def _pin(self) -> None:
        """Gather what is kept whole, and have it stay."""
        if self._kept:
            self._kept[0].all_gather(self._kept)
        for parameter in self._kept:
            parameter.partition = _stay

    def _unpin(self) -> None:
        for parameter in self._kept:
            parameter.partition = self._partition[id(parameter)]
            parameter.partition()

    @property
    def masters(self) -> list[Tensor]:
        """This worker's parts of the float32 weights, one of each group."""
        parts: list[Tensor] = self.optimizer.fp32_partitioned_groups_flat
        return parts

    def groups(self) -> list[list[nn.Parameter]]:
        """Return the parameters of each group in flat order."""
        return [list(group) for group in self.optimizer.fp16_groups]

    def gradients(self) -> list[list[Tensor]]:
        """Return the reduced gradients of this worker's parts, in pieces one after another."""
        return [self.optimizer.averaged_gradients[i] for i in range(len(self.masters))]

    def use_norm(self, norm: float) -> None:
        """Nothing: DeepSpeed measures the norm of stage 3 by itself."""

    def push(self) -> None:
        """Have the module's parameters follow the parts."""
        self._unpin()
        for number in range(len(self.masters)):
            self.optimizer._reassign_or_swap_out_partitioned_parameters(number)
        self._pin()

    def drop(self) -> None:
        """Forget the gradients so far."""
        self.optimizer.zero_grad(set_to_none=True)

    @contextmanager
    def whole(self) -> Iterator[None]:
        """Every worker holds all parameters meanwhile, and computes by itself."""
        import deepspeed

        self._unhook()
        divided = [p for p in self._parameters if id(p) not in self._partition]
        with deepspeed.zero.GatheredParameters(divided):
            yield
        self._hook()

    def _hook(self) -> None:
        self.optimizer.parameter_offload.setup_zero_stage3_hooks()

    def _unhook(self) -> None:
        offload = self.optimizer.parameter_offload
        offload._remove_module_hooks()
        offload.forward_hooks.clear()
        offload.backward_hooks.clear()

    def close(self, module: nn.Module) -> None:
        """Let go of buffers and hooks; the module has parameters of its own again, whole."""
        with self.whole():
            values = {id(p): p.data.clone() for p in self._parameters}
        self._engine.destroy()
        for child in module.modules():
            if hasattr(child, "_original_parameters"):
                child._parameters = cast("dict[str, nn.Parameter | None]", child._original_parameters)
                del child._original_parameters
            for name, parameter in child._parameters.items():
                if parameter is not None and id(parameter) in values:
                    child._parameters[name] = nn.Parameter(values[id(parameter)])


def _stay(*inputs: Any, **named: Any) -> None:
    """Stands for a parameter's `partition` while it is kept whole."""


class _InOrder:
    """Stands before `optimizer`'s method `name`, which is told of each gradient as it is ready.

    It is told in reverse order of the parameters, about as the backward pass goes; of those that have none
    when the pass has ended, with zeros.
    """

    def __init__(self, optimizer: Any, name: str, parameters: Sequence[nn.Parameter]) -> None:
        self._reduce: Callable[..., None] = getattr(optimizer, name)
        self._end: Callable[[], None] = optimizer.overlapping_partition_gradients_reduce_epilogue
        self._order = list(reversed(parameters))
        self._groups = {id(p): i for i, group in enumerate(_groups(optimizer)) for p in group}
        self._ready: set[int] = set()
        self._told = 0
        self._with_group = name == "process_gradients"
        setattr(optimizer, name, self._take)
        optimizer.overlapping_partition_gradients_reduce_epilogue = self._finish

    def _take(self, parameter: nn.Parameter, group: int = 0) -> None:
        self._ready.add(id(parameter))
        while self._told < len(self._order) and id(self._order[self._told]) in self._ready:
            self._tell(self._order[self._told])

    def _tell(self, parameter: nn.Parameter) -> None:
        self._told += 1
        self._reduce(parameter, *([self._groups[id(parameter)]] if self._with_group else []))

    def _finish(self) -> None:
        for parameter in self._order[self._told :]:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
            self._tell(parameter)
        self._ready.clear()
        self._told = 0
        self._end()


def _groups(optimizer: Any) -> list[list[nn.Parameter]]:
    found: list[list[nn.Parameter]] = getattr(optimizer, "bit16_groups", None) or optimizer.fp16_groups
    return found
