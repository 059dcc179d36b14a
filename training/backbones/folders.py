"""Backbones as folders of the released ones' kind: VILA, SigLIP2 and diffusers' Wan pipeline."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

from omnivideo.config import OmniVideoConfig
from omnivideo.mllm import Mllm, TextHead
from omnivideo.vision_tower import VisionTower

KIND = "mlp_downsample"


def save_vila(folder: Path, tower: VisionTower, mllm: Mllm, text_head: TextHead, tokenizer: Any) -> None:
    """Write `llm/`, `vision_tower/` and `mm_projector/`, each Hugging Face style."""
    import torch
    from safetensors.torch import save_file
    from transformers import AutoConfig, AutoModelForCausalLM

    config = AutoConfig.for_model(**mllm.config.llm, tie_word_embeddings=False)
    with torch.device("meta"):
        causal = AutoModelForCausalLM.from_config(config)
    causal.model, causal.lm_head = mllm.body, text_head.lm_head
    causal.save_pretrained(folder / "llm")
    tokenizer.save_pretrained(folder / "llm")
    tower.understanding.save_pretrained(folder / "vision_tower")
    projector = folder / "mm_projector"
    projector.mkdir(parents=True, exist_ok=True)
    weights = {name: tensor.cpu().contiguous() for name, tensor in mllm.projector.state_dict().items()}
    save_file(weights, projector / "model.safetensors")
    described = {"model_type": "v2l_projector", "mm_projector_type": KIND}
    (projector / "config.json").write_text(json.dumps(described))


def save_siglip(folder: Path, tower: VisionTower) -> None:
    """Write the tower without its last layer: what VILA reads is then its last state."""
    short = copy.deepcopy(tower.understanding)
    layers = short.encoder.layers
    del layers[-1]
    short.config.num_hidden_layers = len(layers)
    short.save_pretrained(folder)


def save_wan(
    folder: Path, config: OmniVideoConfig, dit: Any, vae: Any, text_encoder: Any, tokenizer: Any
) -> None:
    """Write diffusers' folder of a text-to-video pipeline."""
    from diffusers import WanPipeline

    from omnivideo.decoder import build_scheduler

    pipeline = WanPipeline(
        tokenizer=tokenizer,
        text_encoder=text_encoder,
        transformer=dit,
        vae=vae,
        scheduler=build_scheduler(config.scheduler),
    )
    pipeline.save_pretrained(str(folder), safe_serialization=True)
