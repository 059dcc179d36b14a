"""The language model beside a forward pass written out from its parts, as VILA's own code composes them."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import LlamaConfig, LlamaForCausalLM, SiglipVisionConfig, SiglipVisionModel

from omnivideo.mllm import MEDIA
from omnivideo.model import OmniVideoModel
from omnivideo.prompts import chat_ids


def _siglip_layers(weights: dict[str, Tensor], pixels: Tensor, config: Any, count: int) -> Tensor:
    """Hidden states after `count` layers of a SigLIP tower, from its weights alone."""
    patch, heads = config.patch_size, config.num_attention_heads
    x = F.conv2d(
        pixels,
        weights["embeddings.patch_embedding.weight"],
        weights["embeddings.patch_embedding.bias"],
        patch,
    )
    x = x.flatten(2).transpose(1, 2) + weights["embeddings.position_embedding.weight"]
    for i in range(count):
        layer = {k.split(".", 3)[3]: v for k, v in weights.items() if k.startswith(f"encoder.layers.{i}.")}
        norm = lambda y, n: F.layer_norm(y, y.shape[-1:], layer[f"{n}.weight"], layer[f"{n}.bias"], 1e-6)  # noqa: E731, B023
        linear = lambda y, n: F.linear(y, layer[f"{n}.weight"], layer[f"{n}.bias"])  # noqa: E731, B023
        y = norm(x, "layer_norm1")
        q, k, v = (linear(y, f"self_attn.{n}_proj").unflatten(2, (heads, -1)).transpose(1, 2) for n in "qkv")
        scores = (q @ k.transpose(2, 3)) * q.shape[-1] ** -0.5
        x = x + linear((scores.softmax(-1) @ v).transpose(1, 2).flatten(2), "self_attn.out_proj")
        x = x + linear(F.gelu(linear(norm(x, "layer_norm2"), "mlp.fc1"), approximate="tanh"), "mlp.fc2")
    return x


def _project(weights: dict[str, Tensor], patches: Tensor) -> Tensor:
    """VILA's mlp_downsample, spelled with explicit loops: zero-pad, merge 2×2, norm, linear, GELU, linear."""
    side = round(patches.shape[1] ** 0.5)
    even = side + side % 2
    grid = patches.new_zeros(len(patches), even, even, patches.shape[2])
    grid[:, :side, :side] = patches.unflatten(1, (side, side))
    merged = [
        torch.cat([grid[:, 2 * r + i, 2 * c + j] for i in (0, 1) for j in (0, 1)], dim=-1)
        for c in range(even // 2)
        for r in range(even // 2)
    ]
    x = torch.stack(merged, dim=1)
    x = F.layer_norm(x, x.shape[-1:], weights["layers.1.weight"], weights["layers.1.bias"])
    x = F.gelu(F.linear(x, weights["layers.2.weight"], weights["layers.2.bias"]))
    return F.linear(x, weights["layers.4.weight"], weights["layers.4.bias"])


def _llama(model: OmniVideoModel) -> Any:
    llama = LlamaForCausalLM(LlamaConfig(**model.config.mllm.llm.model_dump(), tie_word_embeddings=False))
    body = {f"model.{name}": weight for name, weight in model.mllm.body.state_dict().items()}
    llama.load_state_dict({**body, "lm_head.weight": model.text_head.lm_head.weight})
    return llama.eval()


@torch.no_grad()
def test_vila_from_its_parts(model: OmniVideoModel, clip: Tensor) -> None:
    """Logits about a clip equal those of the tower, the projector and a Llama put together by hand."""
    config, shown = model.config.mllm.vision, clip[:1, [0, 8]]
    pixels = F.interpolate(shown[0], size=(70, 70), mode="bicubic", align_corners=False, antialias=True)
    tower = model.vision_tower.understanding.state_dict()
    patches = _siglip_layers(tower, pixels.clamp(-1, 1), config, config.num_hidden_layers - 1)
    frames = _project(model.mllm.projector.state_dict(), patches)
    ids = torch.tensor(chat_ids(model.tokenizer, "what is it?", [[MEDIA] * frames.shape[1]] * 2))
    answer = torch.tensor(model.tokenizer("a cat", add_special_tokens=False).input_ids)
    llama = _llama(model)
    embeds = llama.model.embed_tokens(torch.cat([ids, answer]).clamp(min=0))
    embeds[: len(ids)][ids == MEDIA] = frames.flatten(0, 1)
    expected = llama(inputs_embeds=embeds[None]).logits[:, len(ids) - 1 :]
    ours, labels = model.text_logits(["what is it?"], ["a cat"], clip[:1])
    assert labels[0, :-1].tolist() == answer.tolist()
    torch.testing.assert_close(ours, expected, atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_targets_are_siglips_own(model: OmniVideoModel) -> None:
    """E of Eq. 1 is transformers' SigLIP output, and pooling to one token takes its mean."""
    config = model.config.vision_head.target
    siglip = SiglipVisionModel(SiglipVisionConfig(**config.model_dump(), vision_use_head=False)).eval()
    siglip.load_state_dict(model.vision_tower.target.state_dict())
    pixels = torch.rand(2, 3, 70, 70) * 2 - 1
    expected = siglip(pixels).last_hidden_state
    ours = model.vision_tower.targets(pixels, tokens_per_frame=25)
    torch.testing.assert_close(ours, expected, atol=1e-5, rtol=1e-5)
    layers = _siglip_layers(model.vision_tower.target.state_dict(), pixels, config, config.num_hidden_layers)
    weights = model.vision_tower.target.state_dict()
    normed = F.layer_norm(
        layers, (64,), weights["post_layernorm.weight"], weights["post_layernorm.bias"], 1e-6
    )
    torch.testing.assert_close(ours, normed, atol=1e-5, rtol=1e-4)


@torch.no_grad()
def test_each_cached_token_is_the_teacher_forced_one(model: OmniVideoModel) -> None:
    """Token by token, prompts of mixed lengths: decoding with a cache gives what a full pass gives."""
    prompts = ["a cat", "a much longer prompt about two dogs and a kite", "x"]
    generated = model.predict_visual(prompts, "video")
    for count in range(1, generated.shape[1] + 1):
        forced = model.stage1_forward(prompts, generated[:, :count], "video")
        torch.testing.assert_close(forced[:, -1], generated[:, count - 1], atol=1e-5, rtol=1e-4)
    for row, prompt in enumerate(prompts):
        alone = model.predict_visual([prompt], "video")
        torch.testing.assert_close(generated[row : row + 1], alone, atol=1e-5, rtol=1e-4)
