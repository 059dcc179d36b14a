"""Released Wan2.1 text-to-video folders (1.3B and 14B), in diffusers' layout or in the authors' own.

The authors' own holds `config.json` and safetensors of the transformer, `Wan2.1_VAE.pth`,
`models_t5_umt5-xxl-enc-bf16.pth` and the tokenizer's folder `google/umt5-xxl`. A .pth file is read with
`weights_only`: tensors, never code; a .safetensors file of the same stem is preferred.
"""

from __future__ import annotations

import json
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, NamedTuple

import torch
from diffusers import AutoencoderKLWan, UniPCMultistepScheduler, WanTransformer3DModel
from diffusers.loaders.single_file_utils import (
    convert_wan_transformer_to_diffusers,
    convert_wan_vae_to_diffusers,
)
from diffusers.models.transformers.transformer_wan import WanRotaryPosEmbed
from safetensors.torch import load_file
from torch import Tensor, nn
from transformers import AutoTokenizer, UMT5Config, UMT5EncoderModel

from omnivideo.config import SchedulerConfig
from omnivideo.decoder import build_scheduler
from omnivideo.errors import InputError

VAE, TEXT_ENCODER, TOKENIZER = "Wan2.1_VAE", "models_t5_umt5-xxl-enc-bf16", "google/umt5-xxl"
Weights = dict[str, Tensor]

# The authors' names in a UMT5 block, as transformers has them.
_UMT5_BLOCK = {
    "norm1": "layer.0.layer_norm",
    "attn.": "layer.0.SelfAttention.",
    "pos_embedding.embedding": "layer.0.SelfAttention.relative_attention_bias",
    "norm2": "layer.1.layer_norm",
    "ffn.gate.0": "layer.1.DenseReluDense.wi_0",
    "ffn.fc1": "layer.1.DenseReluDense.wi_1",
    "ffn.fc2": "layer.1.DenseReluDense.wo",
}


class Wan(NamedTuple):
    """The decoder's parts; the autoencoder is float32 whatever the others are."""

    dit: Any
    vae: Any
    text_encoder: Any
    tokenizer: Any
    scheduler: Any


def load_wan(folder: str | Path, dtype: torch.dtype | None = None) -> Wan:
    """Read a folder in either layout, or a hub id in diffusers'. Raises InputError for what is missing."""
    root = Path(folder)
    if (root / "config.json").is_file() and not (root / "model_index.json").is_file():
        return _original(root, dtype)
    return Wan(
        WanTransformer3DModel.from_pretrained(folder, subfolder="transformer", dtype=dtype),
        AutoencoderKLWan.from_pretrained(folder, subfolder="vae", dtype=torch.float32),
        UMT5EncoderModel.from_pretrained(folder, subfolder="text_encoder", dtype=dtype or "auto"),
        AutoTokenizer.from_pretrained(folder, subfolder="tokenizer"),
        UniPCMultistepScheduler.from_pretrained(folder, subfolder="scheduler"),
    )


def _original(root: Path, dtype: torch.dtype | None) -> Wan:
    settings = json.loads((root / "config.json").read_text(encoding="utf-8"))
    if settings.get("model_type") != "t2v":
        what = f"{root}/config.json says model_type {settings.get('model_type')!r}"
        raise InputError(what, "load Wan", "Give a text-to-video folder")
    dit = _dit(settings, _shards(root))
    if dtype is not None:
        cast(dit, dtype)
    text_encoder = _text_encoder(_weights(root, TEXT_ENCODER))
    text_encoder = text_encoder if dtype is None else text_encoder.to(dtype)
    vae = _vae(_weights(root, VAE)).float()
    if not (root / TOKENIZER).is_dir():
        raise _missing(root, TOKENIZER)
    tokenizer = AutoTokenizer.from_pretrained(root / TOKENIZER)
    return Wan(dit, vae, text_encoder, tokenizer, build_scheduler(SchedulerConfig()))


def _missing(root: Path, name: str) -> InputError:
    return InputError(f"{root} has no {name}", "load Wan", "Download the whole released folder")


def _shards(root: Path) -> Weights:
    files = sorted(root.glob("diffusion_pytorch_model*.safetensors"))
    if not files:
        raise _missing(root, "diffusion_pytorch_model*.safetensors")
    return {name: tensor for file in files for name, tensor in load_file(file).items()}


def _weights(root: Path, stem: str) -> Weights:
    if (root / f"{stem}.safetensors").is_file():
        return dict(load_file(root / f"{stem}.safetensors"))
    file = root / f"{stem}.pth"
    if not file.is_file():
        raise _missing(root, file.name)
    try:
        weights: Weights = torch.load(file, map_location="cpu", weights_only=True)
    except UnpicklingError as error:
        what = f"{file} is damaged or holds more than tensors"
        raise InputError(what, "load Wan", "Download it again") from error
    return weights


def _dit(settings: dict[str, Any], weights: Weights) -> Any:
    heads, size = settings["num_heads"], settings["dim"] // settings["num_heads"]
    with torch.device("meta"):
        dit = WanTransformer3DModel(
            num_attention_heads=heads,
            attention_head_dim=size,
            in_channels=settings["in_dim"],
            out_channels=settings["out_dim"],
            text_dim=weights["text_embedding.0.weight"].shape[1],
            freq_dim=settings["freq_dim"],
            ffn_dim=settings["ffn_dim"],
            num_layers=settings["num_layers"],
            eps=settings["eps"],
        )
    dit.rope = WanRotaryPosEmbed(size, dit.config.patch_size, dit.config.rope_max_seq_len)  # off meta
    return _filled(dit, convert_wan_transformer_to_diffusers(dict(weights)))


def _vae(weights: Weights) -> Any:
    with torch.device("meta"):
        vae = AutoencoderKLWan(base_dim=weights["encoder.conv1.weight"].shape[0])
    return _filled(vae, convert_wan_vae_to_diffusers(weights))


def _text_encoder(weights: Weights) -> Any:
    vocabulary, size = weights["token_embedding.weight"].shape
    buckets, heads = weights["blocks.0.pos_embedding.embedding.weight"].shape
    config = UMT5Config(
        vocab_size=vocabulary,
        d_model=size,
        d_kv=weights["blocks.0.attn.q.weight"].shape[0] // heads,
        d_ff=weights["blocks.0.ffn.fc1.weight"].shape[0],
        num_layers=1 + max(int(name.split(".")[1]) for name in weights if name.startswith("blocks.")),
        num_heads=heads,
        relative_attention_num_buckets=buckets,
        feed_forward_proj="gated-gelu",
    )
    with torch.device("meta"):
        encoder = UMT5EncoderModel(config)
    renamed = {umt5_name(name): tensor for name, tensor in weights.items()}
    renamed["encoder.embed_tokens.weight"] = renamed["shared.weight"]
    encoder = _filled(encoder, renamed)
    encoder.tie_weights()
    return encoder


def umt5_name(name: str) -> str:
    """The authors' name of a UMT5 encoder weight -> transformers' name."""
    if name == "token_embedding.weight":
        return "shared.weight"
    if name == "norm.weight":
        return "encoder.final_layer_norm.weight"
    _, index, rest = name.split(".", 2)
    for theirs, ours in _UMT5_BLOCK.items():
        rest = rest.replace(theirs, ours)
    return f"encoder.block.{index}.{rest}"


def _filled(part: Any, weights: Weights) -> Any:
    missing, unexpected = part.load_state_dict(weights, strict=False, assign=True)
    if missing or unexpected:
        what = f"weights of a {type(part).__name__} do not fit: {[*missing, *unexpected][:3]}"
        raise InputError(what, "load Wan", "Give a released Wan2.1 folder")
    return part.requires_grad_(True).eval()


def cast(dit: nn.Module, dtype: torch.dtype) -> None:
    """Weights to `dtype`, but for those that Wan keeps in float32 (time embedding, norms, modulation)."""
    kept = WanTransformer3DModel._keep_in_fp32_modules
    for name, parameter in dit.named_parameters():
        wanted = torch.float32 if any(key in name.split(".") for key in kept) else dtype
        parameter.data = parameter.data.to(wanted)
