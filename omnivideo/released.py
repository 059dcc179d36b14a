"""Initialisation from released weights (section 4.3): an MLLM, SigLIP2 and Wan2.1 folders.

The vision head and the adapter are new and start at random. No pickled code is ever run.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn

from omnivideo.build import PARTS, build_part
from omnivideo.config import MllmConfig, OmniVideoConfig, SiglipConfig, TransformersConfig
from omnivideo.foreign import load_transformers
from omnivideo.model import OmniVideoModel
from omnivideo.vila import load_siglip, load_vila, siglip_config
from omnivideo.wan import load_wan


def assemble(
    base: OmniVideoConfig,
    mllm: str | Path,
    siglip2: str | Path,
    wan: str | Path,
    seed: int = 0,
    dtype: torch.dtype | None = None,
) -> OmniVideoModel:
    """Put the released parts together; `base` gives what they leave open (heads, adapter, sampling).

    `mllm` as in `load_vila` or `load_transformers`, `siglip2` a SigLIP2 folder, `wan` as in `load_wan`. The
    returned model's configuration states the shapes that were loaded.
    """
    load_mllm = load_vila if Path(mllm, "llm").is_dir() else load_transformers
    read, target, decoder = load_mllm(mllm, dtype), load_siglip(siglip2, dtype), load_wan(wan, dtype)
    loaded: dict[str, Any] = {
        "mllm": read.mllm,
        "text_head": read.text_head,
        "dit": decoder.dit,
        "vae": decoder.vae,
        "text_encoder": decoder.text_encoder,
    }
    config = _implied(base, read.config, siglip_config(target), loaded)
    loaded["vision_tower"] = _vision_tower(config, read.tower, target)
    parts: dict[str, nn.Module] = {}
    for name in PARTS:
        parts[name] = loaded[name].eval() if name in loaded else build_part(name, config, seed).to(dtype)
    return OmniVideoModel(config, parts, read.tokenizer, decoder.tokenizer, decoder.scheduler)


def _vision_tower(config: OmniVideoConfig, understanding: Any, target: Any) -> nn.Module:
    with torch.device("meta"):
        tower: Any = build_part("vision_tower", config)
    tower.target = target
    if understanding is not None:
        tower.understanding = understanding
    part: nn.Module = tower
    return part


def _implied(
    base: OmniVideoConfig,
    mllm: MllmConfig | TransformersConfig,
    target: SiglipConfig,
    loaded: dict[str, Any],
) -> OmniVideoConfig:
    """`base` with the shapes of what was loaded."""
    dump = base.model_dump()
    dump["mllm"] = {**mllm.model_dump(), "max_frames": base.mllm.max_frames}
    dump["vision_head"]["target"] = target.model_dump()
    for section in ("dit", "vae"):
        dump[section] = {key: loaded[section].config[key] for key in dump[section]}
    encoder = dump["text_encoder"]
    encoder |= {key: getattr(loaded["text_encoder"].config, key) for key in encoder if key != "max_tokens"}
    return OmniVideoConfig.model_validate(dump)
