"""Modules that a backbone keeps in float32 stay so inside autocast too."""

from __future__ import annotations

import functools
from typing import Any

import torch
from torch import nn


def keep_float32(module: nn.Module) -> list[str]:
    """Take the submodules that `module` names in `_keep_in_fp32_modules` out of autocast; return their names.

    For Wan's transformer: time_embedder and the norms (diffusers, `WanTransformer3DModel`). Rotary angles and
    the scale-and-shift tables are added in float32 by its own code.
    """
    wanted = tuple(getattr(module, "_keep_in_fp32_modules", None) or ())
    kept = [(name, child) for name, child in module.named_modules() if name.rpartition(".")[2] in wanted]
    for _, child in kept:
        if not hasattr(child, "outside_autocast"):
            # By class, not by instance: compiled, blocks that differ in an object need a graph each.
            child.__class__ = _in_float32(child.__class__)
    return [name for name, _ in kept]


@functools.cache
def _in_float32(kind: Any) -> Any:
    """Return `kind` with a forward pass outside autocast, on float32 inputs."""

    def forward(self: nn.Module, *inputs: Any, **named: Any) -> Any:
        device = next((x.device.type for x in inputs if isinstance(x, torch.Tensor)), "cpu")
        with torch.autocast(device, enabled=False):
            return kind.forward(self, *(_up(x) for x in inputs), **named)

    return type(kind.__name__, (kind,), {"forward": forward, "outside_autocast": True})


def _up(value: Any) -> Any:
    return value.float() if isinstance(value, torch.Tensor) and value.is_floating_point() else value


def halve_language_model(model: Any, device: torch.device) -> None:
    """Hold the language model, which never trains, in bf16 on a GPU: autocast computes in it anyway, and
    would cast its weights anew for every token. The encoding job and training do so alike.
    """
    if device.type == "cuda":
        model.mllm.to(torch.bfloat16)
