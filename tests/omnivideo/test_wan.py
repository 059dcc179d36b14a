"""Released Wan folders in the authors' layout, written here with small random weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import AutoencoderKLWan
from diffusers.loaders.single_file_utils import convert_wan_vae_to_diffusers
from safetensors.torch import save_file

from omnivideo.build import parameter_counts
from omnivideo.config import preset
from omnivideo.errors import InputError
from omnivideo.model import OmniVideoModel
from omnivideo.presets import WAN_14B
from omnivideo.wan import TEXT_ENCODER, TOKENIZER, VAE, load_wan, umt5_name

# diffusers' names of the transformer's weights -> the authors' (wan/modules/model.py).
DIT = {
    "condition_embedder.time_embedder.linear_1": "time_embedding.0",
    "condition_embedder.time_embedder.linear_2": "time_embedding.2",
    "condition_embedder.text_embedder.linear_1": "text_embedding.0",
    "condition_embedder.text_embedder.linear_2": "text_embedding.2",
    "condition_embedder.time_proj": "time_projection.1",
    "attn1": "self_attn",
    "attn2": "cross_attn",
    "to_out.0": "o",
    "to_q": "q",
    "to_k": "k",
    "to_v": "v",
    "proj_out": "head.head",
    "ffn.net.0.proj": "ffn.0",
    "ffn.net.2": "ffn.2",
    "norm2": "norm3",
}


def _dit_name(name: str) -> str:
    for ours, theirs in DIT.items():
        name = name.replace(ours, theirs)
    return name.replace("scale_shift_table", "modulation" if "blocks" in name else "head.modulation")


def _residual(prefix: str, shortcut: bool) -> list[str]:
    names = [f"{prefix}.residual.0.gamma", f"{prefix}.residual.3.gamma"]
    convolutions = [f"{prefix}.residual.2", f"{prefix}.residual.6", *[f"{prefix}.shortcut"] * shortcut]
    return names + [f"{conv}.{kind}" for conv in convolutions for kind in ("weight", "bias")]


def _vae_names() -> list[str]:
    """Every weight's name in the authors' autoencoder (wan/modules/vae.py), two residual blocks a level."""
    names = [f"{conv}.{k}" for conv in ("conv1", "conv2") for k in ("weight", "bias")]
    for half in ("encoder", "decoder"):
        convolutions = ["conv1", "head.2", "middle.1.to_qkv", "middle.1.proj"]
        names += [f"{half}.{conv}.{k}" for conv in convolutions for k in ("weight", "bias")]
        names += [f"{half}.head.0.gamma", f"{half}.middle.1.norm.gamma"]
        names += _residual(f"{half}.middle.0", False) + _residual(f"{half}.middle.2", False)
    resamples = {
        "encoder.downsamples.": ({2: 0, 5: 1, 8: 1}, 11),
        "decoder.upsamples.": ({3: 1, 7: 1, 11: 0}, 15),
    }
    for prefix, (resample, count) in resamples.items():
        for i in range(count):
            if i not in resample:
                names += _residual(f"{prefix}{i}", (prefix[0], i) in {("e", 3), ("e", 6), ("d", 4)})
                continue
            convolutions = ["resample.1", *["time_conv"] * resample[i]]
            names += [f"{prefix}{i}.{conv}.{k}" for conv in convolutions for k in ("weight", "bias")]
    return names


def _write(root: Path, model: OmniVideoModel, vae: Any) -> None:
    config = model.config.dit
    size = config.num_attention_heads * config.attention_head_dim
    shape = {"dim": size, "num_heads": config.num_attention_heads, "in_dim": 16, "out_dim": 16}
    rest = {"freq_dim": config.freq_dim, "ffn_dim": config.ffn_dim, "num_layers": config.num_layers}
    fields = {"model_type": "t2v", "text_len": 256, "eps": 1e-6, **shape, **rest}
    (root / "config.json").write_text(json.dumps(fields))
    weights = {_dit_name(name): w.contiguous() for name, w in model.dit.state_dict().items()}
    save_file(weights, root / "diffusion_pytorch_model.safetensors")
    renamed = {convert_wan_vae_to_diffusers({name: name}).popitem()[0]: name for name in _vae_names()}
    torch.save({renamed[name]: w for name, w in vae.state_dict().items()}, root / f"{VAE}.pth")
    encoder = model.text_encoder.state_dict()
    names = ["token_embedding.weight", "norm.weight"]
    parts = ["norm1", "norm2", *[f"attn.{k}" for k in "qkvo"], "ffn.gate.0", "ffn.fc1", "ffn.fc2"]
    for i in range(model.config.text_encoder.num_layers):
        names += [f"blocks.{i}.{part}.weight" for part in [*parts, "pos_embedding.embedding"]]
    torch.save({name: encoder[umt5_name(name)] for name in names}, root / f"{TEXT_ENCODER}.pth")
    model.text_tokenizer.save_pretrained(root / TOKENIZER)


@pytest.fixture(scope="module")
def autoencoder() -> Any:
    """Wan's autoencoder, thin, with the two residual blocks a level of every released one."""
    torch.manual_seed(4)
    return AutoencoderKLWan(base_dim=8).eval()


@pytest.fixture(scope="module")
def original(model: OmniVideoModel, autoencoder: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in the authors' layout."""
    root = tmp_path_factory.mktemp("wan")
    _write(root, model, autoencoder)
    return root


@torch.no_grad()
def test_the_authors_layout_loads(model: OmniVideoModel, autoencoder: Any, original: Path) -> None:
    """Transformer, autoencoder and text encoder compute what the weights that were saved compute."""
    wan = load_wan(original)
    x, t, c = torch.randn(1, 16, 2, 4, 6), torch.tensor([500.0]), torch.randn(1, 7, 64)
    torch.testing.assert_close(wan.dit(x, t, c).sample, model.dit(x, t, c).sample)
    clip = torch.rand(1, 3, 5, 16, 24) * 2 - 1
    ours, theirs = (vae.encode(clip).latent_dist.mode() for vae in (wan.vae, autoencoder))
    torch.testing.assert_close(ours, theirs)
    torch.testing.assert_close(wan.vae.decode(ours).sample, autoencoder.decode(ours).sample)
    ids = wan.tokenizer("a cat", return_tensors="pt").input_ids
    torch.testing.assert_close(
        wan.text_encoder(ids).last_hidden_state, model.text_encoder(ids).last_hidden_state
    )
    assert wan.scheduler.config.flow_shift == 3.0


def test_half_precision_keeps_what_wan_keeps(original: Path) -> None:
    """In bfloat16 the time embedding, norms, modulation and autoencoder stay float32."""
    wan = load_wan(original, torch.bfloat16)
    assert wan.dit.condition_embedder.time_embedder.linear_1.weight.dtype == torch.float32
    assert wan.dit.blocks[0].norm2.weight.dtype == wan.dit.scale_shift_table.dtype == torch.float32
    assert wan.dit.blocks[0].attn1.to_q.weight.dtype == torch.bfloat16
    assert {p.dtype for p in wan.vae.parameters()} == {torch.float32}
    assert wan.text_encoder.dtype == torch.bfloat16


@pytest.mark.parametrize("name", [f"{VAE}.pth", f"{TEXT_ENCODER}.pth", "diffusion_pytorch_model.safetensors"])
def test_a_missing_file_is_named(original: Path, tmp_path: Path, name: str) -> None:
    """A folder that lacks one of its files is an input error that names the file."""
    for file in original.iterdir():
        if file.name != name:
            (tmp_path / file.name).symlink_to(file)
    with pytest.raises(InputError, match=name.split(".")[0]):
        load_wan(tmp_path)


def test_a_pickle_runs_no_code(original: Path, tmp_path: Path) -> None:
    """A .pth file that holds more than tensors is refused before anything in it runs."""
    for file in original.iterdir():
        if file.name != f"{VAE}.pth":
            (tmp_path / file.name).symlink_to(file)
    torch.save({"hook": Path.cwd}, tmp_path / f"{VAE}.pth")
    with pytest.raises(InputError, match="more than tensors"):
        load_wan(tmp_path)


def test_the_14b_configuration_has_its_size() -> None:
    """Wan 14B's shapes count about 14.3 billion parameters."""
    counts = parameter_counts(preset("omni-11b").model_copy(update={"dit": WAN_14B}))
    assert 14.2e9 < counts["dit"] < 14.4e9
