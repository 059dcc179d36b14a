"""Initialisation from released weights (section 4.3): VILA, SigLIP2 and Wan2.1 folders or hub ids.

The vision head and the adapter are new and start at random. No pickled code is ever run.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors.torch import load_file
from torch import nn
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    SiglipVisionConfig,
    SiglipVisionModel,
)

from omnivideo.build import PARTS, build_part
from omnivideo.config import LlmConfig, OmniVideoConfig, SiglipConfig
from omnivideo.errors import InputError
from omnivideo.mllm import Mllm, TextHead
from omnivideo.model import OmniVideoModel
from omnivideo.tokens import add_markers
from omnivideo.wan import load_wan

_FAMILIES = {"LlamaForCausalLM": "llama", "Qwen2ForCausalLM": "qwen2"}


class Vila(NamedTuple):
    """A released VILA with its vocabulary grown by the four markers, and the configuration it implies."""

    mllm: Mllm
    text_head: TextHead
    tower: Any
    tokenizer: Any
    llm: LlmConfig
    vision: SiglipConfig


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
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    add_markers(tokenizer)
    tower = load_siglip(root / "vision_tower", causal.dtype)
    llm, vision = _llm_config(causal), _siglip_config(tower)
    mllm = _mllm(causal, llm, vision.hidden_size, root / "mm_projector")
    rows = max(len(tokenizer), llm.vocab_size)
    mllm.resize_vocabulary(rows)
    text_head = TextHead(llm.hidden_size, rows)
    text_head.lm_head.weight = nn.Parameter(_grown(causal.lm_head.weight.detach(), rows))
    return Vila(mllm, text_head, tower, tokenizer, llm.model_copy(update={"vocab_size": rows}), vision)


def load_siglip(folder: str | Path, dtype: torch.dtype | None = None) -> Any:
    """The vision half of a SigLIP or fixed-size SigLIP2 folder or hub id, without its pooling head."""
    config = SiglipVisionConfig.from_pretrained(folder)
    config.vision_use_head = False  # set here: transformers 5.17 ignores it as an argument
    return SiglipVisionModel.from_pretrained(
        folder, config=config, dtype=dtype or "auto", use_safetensors=True
    )


def assemble(
    base: OmniVideoConfig,
    vila: str | Path,
    siglip2: str | Path,
    wan: str | Path,
    seed: int = 0,
    dtype: torch.dtype | None = None,
) -> OmniVideoModel:
    """Put the released parts together; `base` gives what they leave open (heads, adapter, sampling).

    `vila` as in `load_vila`, `siglip2` a SigLIP2 folder, `wan` as in `load_wan`. The
    returned model's configuration states the shapes that were loaded.
    """
    read, target, decoder = load_vila(vila, dtype), load_siglip(siglip2, dtype), load_wan(wan, dtype)
    loaded: dict[str, Any] = {
        "mllm": read.mllm,
        "text_head": read.text_head,
        "dit": decoder.dit,
        "vae": decoder.vae,
        "text_encoder": decoder.text_encoder,
    }
    config = _implied(base, read, _siglip_config(target), loaded)
    loaded["vision_tower"] = _vision_tower(config, read.tower, target)
    parts: dict[str, nn.Module] = {}
    for name in PARTS:
        parts[name] = loaded[name].eval() if name in loaded else build_part(name, config, seed).to(dtype)
    return OmniVideoModel(config, parts, read.tokenizer, decoder.tokenizer, decoder.scheduler)


def _mllm(causal: Any, llm: LlmConfig, vision_size: int, projector: Path) -> Mllm:
    with torch.device("meta"):
        mllm: Mllm = Mllm(llm=llm.model_dump(), vision_size=vision_size)
    mllm.body = causal.model
    weights = load_file(projector / "model.safetensors")
    expected = {f"layers.{i}.{kind}" for i in (1, 2, 4) for kind in ("weight", "bias")}
    if weights.keys() != expected:
        raise InputError(
            f"{projector} holds {sorted(weights)}", "load VILA", "Only the mlp_downsample projector is known"
        )
    cast = {name: weight.to(causal.dtype) for name, weight in weights.items()}
    mllm.projector.load_state_dict(cast, strict=True, assign=True)
    return mllm


def _grown(weight: torch.Tensor, rows: int) -> torch.Tensor:
    # A copy even when nothing grows: small models tie their head to the embedding, parts must share nothing.
    new = weight.float().mean(dim=0, keepdim=True).to(weight.dtype).expand(rows - len(weight), -1)
    return torch.cat([weight, new]).clone()


def _llm_config(causal: Any) -> LlmConfig:
    name = type(causal).__name__
    if name not in _FAMILIES:
        known = ", ".join(_FAMILIES)
        raise InputError(f"the language model is a {name}", "load VILA", f"Known are {known}")
    fields = {key: getattr(causal.config, key) for key in LlmConfig.model_fields}
    return LlmConfig.model_validate(fields)


def _siglip_config(tower: Any) -> SiglipConfig:
    return SiglipConfig.model_validate({key: getattr(tower.config, key) for key in SiglipConfig.model_fields})


def _vision_tower(config: OmniVideoConfig, understanding: Any, target: Any) -> nn.Module:
    with torch.device("meta"):
        tower: Any = build_part("vision_tower", config)
    tower.understanding, tower.target = understanding, target
    part: nn.Module = tower
    return part


def _implied(
    base: OmniVideoConfig, vila: Vila, target: SiglipConfig, loaded: dict[str, Any]
) -> OmniVideoConfig:
    """`base` with the shapes of what was loaded."""
    dump = base.model_dump()
    dump["mllm"] |= {"llm": vila.llm.model_dump(), "vision": vila.vision.model_dump()}
    dump["vision_head"]["target"] = target.model_dump()
    for section in ("dit", "vae"):
        dump[section] = {key: loaded[section].config[key] for key in dump[section]}
    encoder = dump["text_encoder"]
    encoder |= {key: getattr(loaded["text_encoder"].config, key) for key in encoder if key != "max_tokens"}
    return OmniVideoConfig.model_validate(dump)
