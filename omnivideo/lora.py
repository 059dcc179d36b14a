"""A low-rank adaptation (LoRA, arXiv:2106.09685) of the transformer, kept apart from its weights in a file.

The file is the one that diffusers and peft read and write: for each adapted linear layer two matrices,
`<layer>.lora_A.weight` [r, in] and `<layer>.lora_B.weight` [out, r], and peft's configuration as metadata.
Adding alpha / r · B·A to the layer's weight is all that using it takes.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from omnivideo.errors import InputError

FOLDER = "dit_lora"
"""Beside the parts in a pipeline's folder."""
FILE = "pytorch_lora_weights.safetensors"
METADATA = "lora_adapter_metadata"
DOWN, UP = ".lora_A.weight", ".lora_B.weight"
STEP = "load the LoRA"


class Lora(NamedTuple):
    """Matrices by name, and alpha: their product counts alpha / rank."""

    tensors: dict[str, Tensor]
    alpha: float

    @property
    def layers(self) -> list[str]:
        """Names of the adapted layers."""
        return sorted(name.removesuffix(DOWN) for name in self.tensors if name.endswith(DOWN))

    def rank(self, layer: str) -> int:
        """Of one layer's matrices."""
        return len(self.tensors[layer + DOWN])

    def save(self, folder: Path) -> None:
        """Write the file into `folder`."""
        targets = self.layers
        written = {
            **{"peft_type": "LORA", "r": self.rank(targets[0]), "lora_alpha": self.alpha},
            **{"target_modules": targets, "bias": "none", "lora_dropout": 0.0},
        }
        folder.mkdir(parents=True, exist_ok=True)
        tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in self.tensors.items()}
        save_file(tensors, folder / FILE, {"format": "pt", METADATA: json.dumps(written)})


def load(path: str | Path) -> Lora:
    """Read a file, or the one in a folder. Raises InputError for anything else."""
    file = Path(path) / FILE if Path(path).is_dir() else Path(path)
    try:
        with safe_open(file, "pt") as opened:
            tensors = {name.removeprefix("transformer."): opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
            told = json.loads((opened.metadata() or {}).get(METADATA, "{}"))
    except (OSError, SafetensorError) as error:
        raise InputError(f"no LoRA at {path}: {error}", STEP, f"give a folder that holds {FILE}") from None
    lora = Lora(tensors, 0.0)
    if not lora.layers or any(layer + UP not in tensors for layer in lora.layers):
        raise InputError(f"{file} holds no LoRA in peft's layout", STEP, "save it with diffusers or peft")
    told = {name.removeprefix("transformer."): value for name, value in told.items()}
    return lora._replace(alpha=float(told.get("lora_alpha", lora.rank(lora.layers[0]))))


@torch.no_grad()
def merge(dit: Any, lora: Lora, scale: float = 1.0) -> None:
    """Add `scale` times the adaptation to the transformer's weights. Raises InputError if it fits another."""
    layers = dict(dit.named_modules())
    for name in lora.layers:
        down, up = lora.tensors[name + DOWN], lora.tensors[name + UP]
        layer = layers.get(name)
        weight = None if layer is None else layer.weight
        if weight is None or tuple(weight.shape) != (len(up), down.shape[1]):
            have = "no such layer" if weight is None else f"{tuple(weight.shape)}"
            what = f"the LoRA's {name} is {(len(up), down.shape[1])}, the transformer has {have}"
            raise InputError(what, STEP, "give one that was trained from this model")
        change = up.float() @ down.float() * (scale * lora.alpha / lora.rank(name))
        weight.copy_(weight.float() + change.to(weight.device))
