"""Saved folders of transformers' image-text-to-text models, such as LLaVA-OneVision and Qwen2.5-VL."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import nn
from transformers import AutoModelForImageTextToText, AutoTokenizer

from omnivideo.config import TransformersConfig
from omnivideo.errors import InputError
from omnivideo.mllm import TextHead, grown
from omnivideo.tokens import add_markers
from omnivideo.transformers_mllm import TransformersMllm, plain_config

# What the processors of these families default to, where a folder brings no settings of its own.
_CLIP = ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711))
_SIGLIP = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
_SQUARES = 14  # merged patches a side of a frame, for towers that take any size: 196, as many as VILA's


class Foreign(NamedTuple):
    """A model with its vocabulary grown by the four markers; its tower is inside, so `tower` is None."""

    mllm: TransformersMllm
    text_head: TextHead
    tower: None
    tokenizer: Any
    config: TransformersConfig


def load_transformers(folder: str | Path, dtype: torch.dtype | None = None) -> Foreign:
    """Read a folder or hub id of any model with a vision tower and a `language_model`.

    New rows of the vocabulary start at the mean of the old. Raises InputError for a folder of another kind.
    """
    try:
        whole = AutoModelForImageTextToText.from_pretrained(
            folder, dtype=dtype or "auto", use_safetensors=True
        )
    except (ValueError, OSError) as error:
        what = f"{folder} is no image-text-to-text model ({str(error).splitlines()[0]})"
        raise InputError(what, "load the MLLM", "Give a VILA folder or one of such a model") from error
    if not hasattr(whole.model, "language_model"):
        what = f"a {type(whole).__name__} has no language model of its own"
        raise InputError(what, "load the MLLM", "Give another model")
    tokenizer = AutoTokenizer.from_pretrained(folder, padding_side="left")
    add_markers(tokenizer)
    old = whole.get_output_embeddings().weight.detach()
    rows = max(len(tokenizer), len(old))
    text_head = TextHead(old.shape[1], rows)
    text_head.lm_head.weight = nn.Parameter(grown(old, rows))
    mean, std = _normalisation(Path(folder), whole.config.model_type)
    size = _image_size(whole.config.vision_config)
    settings: dict[str, Any] = {"image_size": size, "image_mean": list(mean), "image_std": list(std)}
    with torch.device("meta"):
        mllm: Any = TransformersMllm(model=plain_config(whole.config), **settings)
    mllm.body = whole.model
    mllm.resize_vocabulary(rows)
    config = TransformersConfig(model=mllm.config.model, **settings)
    return Foreign(mllm, text_head, None, tokenizer, config)


def _image_size(vision: Any) -> int:
    size = getattr(vision, "image_size", None)
    if isinstance(size, int):
        return size
    patch: int = vision.patch_size * getattr(vision, "spatial_merge_size", 1)
    return _SQUARES * patch


def _normalisation(folder: Path, model_type: str) -> tuple[Any, Any]:
    for name in ("preprocessor_config.json", "processor_config.json"):
        if (folder / name).is_file():
            fields = json.loads((folder / name).read_text(encoding="utf-8"))
            fields = fields.get("image_processor", fields)
            if "image_mean" in fields:
                return fields["image_mean"], fields["image_std"]
    return _CLIP if model_type.startswith(("qwen", "llava_next")) or model_type == "llava" else _SIGLIP
