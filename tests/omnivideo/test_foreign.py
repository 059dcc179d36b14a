"""Other image-text-to-text models in VILA's place, small ones in transformers' own saved format."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import (
    CLIPVisionConfig,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaOnevisionConfig,
    LlavaOnevisionForConditionalGeneration,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2Config,
    SiglipVisionConfig,
)

from omnivideo.config import preset
from omnivideo.errors import InputError
from omnivideo.foreign import load_transformers
from omnivideo.model import OmniVideoModel
from omnivideo.prompts import MEDIA, chat_ids
from omnivideo.reading import read
from omnivideo.released import assemble
from omnivideo.tokens import MARKERS, byte_tokenizer
from omnivideo.wan import Wan

IMAGE, OPEN, CLOSE = 270, 271, 272
TEXT = {
    "vocab_size": 280,
    "hidden_size": 48,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
}
SIGLIP = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}


def _onevision() -> Any:
    vision = SiglipVisionConfig(**SIGLIP, image_size=70, patch_size=14, vision_use_head=False)
    config = LlavaOnevisionConfig(
        vision_config=vision, text_config=Qwen2Config(**TEXT), image_token_index=269, video_token_index=IMAGE
    )
    return LlavaOnevisionForConditionalGeneration(config)


def _qwen() -> Any:
    vision = {
        "depth": 2,
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_heads": 2,
        "out_hidden_size": 48,
        "fullatt_block_indexes": [1],
        "window_size": 112,
    }
    rope = {"rope_type": "default", "mrope_section": [2, 2, 2], "rope_theta": 10_000.0}
    tokens = {"image_token_id": IMAGE, "vision_start_token_id": OPEN, "vision_end_token_id": CLOSE}
    config = Qwen2_5_VLConfig(vision_config=vision, text_config={**TEXT, "rope_parameters": rope}, **tokens)
    return Qwen2_5_VLForConditionalGeneration(config)


def _llava() -> Any:
    vision = CLIPVisionConfig(**SIGLIP, image_size=56, patch_size=14)
    return LlavaForConditionalGeneration(
        LlavaConfig(vision_config=vision, text_config=LlamaConfig(**TEXT), image_token_index=IMAGE)
    )


MAKERS = {"llava_onevision": _onevision, "qwen2_5_vl": _qwen, "llava": _llava}


@pytest.fixture(scope="module", params=list(MAKERS))
def saved(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
    """A small random model and the folder that it was saved to."""
    torch.manual_seed(3)
    whole, folder = MAKERS[request.param]().eval(), tmp_path_factory.mktemp(request.param)
    whole.save_pretrained(folder)
    byte_tokenizer().save_pretrained(folder)
    return whole, folder


def _theirs(whole: Any, ids: Tensor, frames: Tensor, mllm: Any) -> Tensor:
    """The model's own logits for ids that hold its image tokens, from pixels in the form that it takes."""
    inputs: dict[str, Any] = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    pixels = mllm._pixels(frames)
    kind = whole.config.model_type
    if kind == "llava_onevision":
        inputs["pixel_values_videos"] = pixels[None]
    elif kind == "qwen2_5_vl":
        side, patch = mllm.config.image_size // 14, 14
        grid = pixels.unflatten(2, (side // 2, 2, patch)).unflatten(5, (side // 2, 2, patch))
        # frame, row, column, row within, column within, channel, time, y, x: as its processor flattens them
        order = grid.permute(0, 2, 5, 3, 6, 1, 4, 7).unsqueeze(6).expand(-1, -1, -1, -1, -1, -1, 2, -1, -1)
        inputs["pixel_values"] = order.reshape(len(frames) * side * side, -1)
        inputs["image_grid_thw"] = torch.tensor([[1, side, side]] * len(frames))
        inputs["mm_token_type_ids"] = (ids == IMAGE).int()
    else:
        inputs["pixel_values"] = pixels
    logits: Tensor = whole(**inputs).logits
    return logits


@torch.no_grad()
def test_logits_are_the_models_own(saved: tuple[Any, Path]) -> None:
    """Two frames and a question give the logits that the model's own forward gives for them."""
    whole, folder = saved
    read_model = load_transformers(folder)
    mllm, frames = read_model.mllm.eval(), torch.rand(1, 2, 3, 100, 80) * 2 - 1
    prompt = read(mllm, None, read_model.tokenizer, ["what is it?"], [[]], frames)
    ids = torch.tensor([chat_ids(read_model.tokenizer, "what is it?", mllm.look(frames).frame_ids)])
    expected = _theirs(whole, ids.masked_fill(ids == MEDIA, IMAGE), frames[0], mllm)
    hidden = mllm(prompt.embeds, prompt.mask, positions=prompt.positions)
    ours = read_model.text_head(hidden)[..., : expected.shape[-1]]
    torch.testing.assert_close(ours, expected, atol=1e-5, rtol=1e-4)


@pytest.fixture(scope="module")
def model(saved: tuple[Any, Path], model: OmniVideoModel, tmp_path_factory: Any) -> OmniVideoModel:
    """A whole model with that language model in it, saved and loaded again."""
    parts = tmp_path_factory.mktemp("parts")
    model.vision_tower.target.save_pretrained(parts / "siglip2")
    wan = Wan(model.dit, model.vae, model.text_encoder, model.text_tokenizer, model.scheduler)
    names = ("transformer", "vae", "text_encoder", "tokenizer", "scheduler")
    for name, part in zip(names, wan, strict=True):
        part.save_pretrained(parts / "wan" / name)
    made = assemble(preset("tiny"), saved[1], parts / "siglip2", parts / "wan")
    made.save_pretrained(parts / "whole")
    loaded = OmniVideoModel.from_pretrained(parts / "whole")
    assert loaded.config == made.config
    return loaded


@torch.no_grad()
def test_the_whole_model_works_with_it(model: OmniVideoModel, clip: Tensor) -> None:
    """Edits of mixed lengths: cached decoding equals teacher forcing, and each sample is as when alone."""
    prompts, frames = ["a cat", "two dogs run over a hill"], clip[:, :2]
    generated = model.predict_visual(prompts, "video", source_frames=frames)
    forced = model.stage1_forward(prompts, generated, "video", frames)
    torch.testing.assert_close(forced, generated, atol=1e-5, rtol=1e-4)
    alone = model.predict_visual(prompts[:1], "video", source_frames=frames[:1])
    torch.testing.assert_close(generated[:1], alone, atol=1e-5, rtol=1e-4)
    mixed = model.stage1_forward(prompts, generated, "video", frames, torch.tensor([True, False]))
    torch.testing.assert_close(mixed[:1], forced[:1], atol=1e-5, rtol=1e-4)
    assert not torch.allclose(mixed[1], forced[1])
    logits, labels = model.text_logits(["what?", "where?"], ["a cat", "<BOV>"], frames)
    assert logits.shape == (*labels.shape, model.config.mllm.vocab_size)
    assert {model.tokenizer.convert_tokens_to_ids(m) for m in MARKERS}.isdisjoint({IMAGE, OPEN, CLOSE})


def test_something_else_is_refused(tmp_path: Path) -> None:
    """A folder that is no such model is an input error that says so."""
    LlamaConfig(**TEXT).save_pretrained(tmp_path)
    with pytest.raises(InputError, match="no image-text-to-text model"):
        load_transformers(tmp_path)
