"""Released VILA 1.5 and NVILA folders (section 4.3), each part Hugging Face style."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple, get_args

import torch
from safetensors.torch import load_file
from torch import nn
from transformers import AutoModelForCausalLM, AutoTokenizer, SiglipVisionConfig, SiglipVisionModel

from omnivideo.config import LlmConfig, MllmConfig, ProjectorKind, SiglipConfig
from omnivideo.errors import InputError
from omnivideo.mllm import Mllm, TextHead, grown
from omnivideo.tokens import add_markers

_FAMILIES = {"LlamaForCausalLM": "llama", "Qwen2ForCausalLM": "qwen2"}


class Vila(NamedTuple):
    """A released VILA with its vocabulary grown by the four markers, and the configuration it implies."""

    mllm: Mllm
    text_head: TextHead
    tower: Any
    tokenizer: Any
    config: MllmConfig


def load_vila(folder: str | Path, dtype: torch.dtype | None = None) -> Vila:
    """Read a VILA folder (`llm/`, `vision_tower/`, `mm_projector/`), each Hugging Face style.

    New rows of the vocabulary start at the mean of the old. Raises InputError for a folder that lacks a
    part or a projector other than `mlp_downsample`.
    """
    root = Path(folder)
    for name in ("llm", "vision_tower", "mm_projector"):
        if not (root / name / "config.json").is_file():
            raise InputError(
                f"{root} has no {name}/config.json", "load VILA", "Point to a released VILA folder"
            )
    causal = AutoModelForCausalLM.from_pretrained(root / "llm", dtype=dtype or "auto", use_safetensors=True)
    tokenizer = AutoTokenizer.from_pretrained(root / "llm", padding_side="left")
    add_markers(tokenizer)
    tower = load_siglip(root / "vision_tower", causal.dtype)
    llm, vision = _llm_config(causal), siglip_config(tower)
    kind = _projector_kind(root / "mm_projector")
    mllm = _mllm(causal, llm, vision.hidden_size, root / "mm_projector", kind)
    rows = max(len(tokenizer), llm.vocab_size)
    mllm.resize_vocabulary(rows)
    text_head = TextHead(llm.hidden_size, rows)
    text_head.lm_head.weight = nn.Parameter(grown(causal.lm_head.weight.detach(), rows))
    grown_llm = llm.model_copy(update={"vocab_size": rows})
    return Vila(mllm, text_head, tower, tokenizer, MllmConfig(llm=grown_llm, vision=vision, projector=kind))


def load_siglip(folder: str | Path, dtype: torch.dtype | None = None) -> Any:
    """The vision half of a SigLIP or fixed-size SigLIP2 folder or hub id, without its pooling head."""
    config = SiglipVisionConfig.from_pretrained(folder)
    config.vision_use_head = False  # set here: transformers 5.17 ignores it as an argument
    return SiglipVisionModel.from_pretrained(
        folder, config=config, dtype=dtype or "auto", use_safetensors=True
    )


def _projector_kind(projector: Path) -> ProjectorKind:
    found = json.loads((projector / "config.json").read_text(encoding="utf-8")).get("mm_projector_type")
    known = get_args(ProjectorKind)
    if found not in known:
        what = f"{projector} is of type {found!r}"
        raise InputError(what, "load VILA", f"Known are {', '.join(known)}")
    kind: ProjectorKind = found
    return kind


def _mllm(causal: Any, llm: LlmConfig, vision_size: int, projector: Path, kind: str) -> Mllm:
    with torch.device("meta"):
        mllm: Mllm = Mllm(llm.model_dump(), vision_size, kind)
    mllm.body = causal.model
    weights = load_file(projector / "model.safetensors")
    expected = {f"layers.{i}.{kind}" for i in (1, 2, 4) for kind in ("weight", "bias")}
    if weights.keys() != expected:
        raise InputError(
            f"{projector} holds {sorted(weights)}", "load VILA", "Give a released mlp_downsample projector"
        )
    cast = {name: weight.to(causal.dtype) for name, weight in weights.items()}
    mllm.projector.load_state_dict(cast, strict=True, assign=True)
    return mllm


def _llm_config(causal: Any) -> LlmConfig:
    name = type(causal).__name__
    if name not in _FAMILIES:
        known = ", ".join(_FAMILIES)
        raise InputError(f"the language model is a {name}", "load VILA", f"Known are {known}")
    fields = {key: getattr(causal.config, key) for key in LlmConfig.model_fields}
    return LlmConfig.model_validate(fields)


def siglip_config(tower: Any) -> SiglipConfig:
    """The shapes of a loaded tower."""
    return SiglipConfig.model_validate({key: getattr(tower.config, key) for key in SiglipConfig.model_fields})
