"""Released layouts, written here with small random weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import LlamaConfig, LlamaForCausalLM, SiglipVisionConfig, SiglipVisionModel

from omnivideo.build import PARTS
from omnivideo.config import preset
from omnivideo.errors import InputError
from omnivideo.mllm import Projector
from omnivideo.model import OmniVideoModel
from omnivideo.released import assemble, load_vila
from omnivideo.tokens import MARKERS, byte_tokenizer, marker_id

SIGLIP = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
LLAMA = {"hidden_size": 48, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4}


def _siglip(folder: Path, image_size: int) -> Any:
    model = SiglipVisionModel(SiglipVisionConfig(**SIGLIP, image_size=image_size, patch_size=14))
    model.save_pretrained(folder)
    file = folder / "model.safetensors"  # older releases carry the module's name before each key
    save_file({f"vision_model.{k}": v for k, v in load_file(file).items()}, file, metadata={"format": "pt"})
    return model


def _vila(root: Path, tied: bool = False) -> dict[str, Any]:
    tokenizer = byte_tokenizer()
    llm = LlamaForCausalLM(
        LlamaConfig(**LLAMA, num_key_value_heads=2, vocab_size=260, tie_word_embeddings=tied)
    )
    llm.save_pretrained(root / "llm")
    tokenizer.save_pretrained(root / "llm")
    tower = _siglip(root / "vision_tower", image_size=42)
    projector = Projector(32, 48)
    (root / "mm_projector").mkdir()
    save_file(projector.state_dict(), root / "mm_projector" / "model.safetensors")
    config = {"model_type": "v2l_projector", "mm_projector_type": "mlp_downsample"}
    (root / "mm_projector" / "config.json").write_text(json.dumps(config))
    return {"llm": llm, "tower": tower, "projector": projector}


@pytest.mark.parametrize("tied", [False, True])
def test_a_vila_folder_loads_with_its_weights_and_four_new_rows(tmp_path: Path, tied: bool) -> None:
    """Each weight comes from its folder, new rows are the mean of the old, and nothing stays tied."""
    released = _vila(tmp_path, tied)
    vila = load_vila(tmp_path)
    old = released["llm"].model.embed_tokens.weight
    new = vila.mllm.body.embed_tokens.weight
    assert new.shape == (264, 48)
    assert torch.equal(new[:260], old)
    torch.testing.assert_close(new[260:], old.mean(0).expand(4, -1))
    assert torch.equal(vila.text_head.lm_head.weight[:260], released["llm"].lm_head.weight)
    assert vila.text_head.lm_head.weight.data_ptr() != new.data_ptr()
    patches = torch.randn(1, 9, 32)
    torch.testing.assert_close(vila.mllm.projector(patches), released["projector"](patches))
    pixels = torch.randn(1, 3, 42, 42)
    expected = released["tower"](pixels).last_hidden_state
    torch.testing.assert_close(vila.tower(pixels).last_hidden_state, expected)
    assert {marker_id(vila.tokenizer, marker) for marker in MARKERS} == {260, 261, 262, 263}


def test_released_parts_make_a_model_that_saves_and_runs(model: OmniVideoModel, tmp_path: Path) -> None:
    """VILA, SigLIP2 and Wan folders make one model whose shapes are theirs, and it survives saving."""
    _vila(tmp_path / "vila")
    _siglip(tmp_path / "siglip2", image_size=56)
    wan = tmp_path / "wan"
    model.dit.save_pretrained(wan / "transformer")
    model.vae.save_pretrained(wan / "vae")
    model.text_encoder.save_pretrained(wan / "text_encoder")
    model.text_tokenizer.save_pretrained(wan / "tokenizer")
    model.scheduler.save_pretrained(wan / "scheduler")
    made = assemble(preset("tiny"), tmp_path / "vila", tmp_path / "siglip2", wan)
    assert made.config.mllm.llm.hidden_size == 48
    assert made.config.mllm.vision.image_size == 42
    assert made.config.vision_head.target.image_size == 56
    assert made.config.dit == model.config.dit
    made.save_pretrained(tmp_path / "whole")
    again = OmniVideoModel.from_pretrained(tmp_path / "whole")
    assert again.config == made.config
    for name in PARTS:
        ours, theirs = made.parts()[name].state_dict(), again.parts()[name].state_dict()
        assert all(torch.equal(ours[key], theirs[key]) for key in ours)
    frames = torch.rand(1, 2, 3, 64, 64) * 2 - 1
    assert again.vision_targets(frames).shape == (1, 8, 32)
    assert torch.isfinite(again.text_logits(["what?"], ["a cat"], frames)[0]).all()
    assert torch.isfinite(again.predict_visual(["x"], "video")).all()


def test_nvilas_projector_is_told_from_vilas(tmp_path: Path) -> None:
    """The folder's own projector type decides the order of merged tokens; an unknown one is refused."""
    _vila(tmp_path)
    file = tmp_path / "mm_projector" / "config.json"
    for kind, row_major in (("mlp_downsample", False), ("mlp_downsample_2x2_fix", True)):
        file.write_text(json.dumps({"mm_projector_type": kind}))
        vila = load_vila(tmp_path)
        assert vila.mllm.projector.layers[0].row_major == row_major
        assert vila.config.projector == vila.mllm.config.projector_kind == kind
    file.write_text(json.dumps({"mm_projector_type": "mlp2x_gelu"}))
    with pytest.raises(InputError, match="mlp2x_gelu"):
        load_vila(tmp_path)


def test_an_incomplete_folder_is_refused(tmp_path: Path) -> None:
    """A folder without its projector is an input error that says what is missing."""
    _vila(tmp_path)
    (tmp_path / "mm_projector" / "config.json").unlink()
    with pytest.raises(InputError, match="mm_projector"):
        load_vila(tmp_path)


def test_another_projector_is_refused(tmp_path: Path) -> None:
    """A projector of another type is an input error, not a partial load."""
    _vila(tmp_path)
    save_file({"layers.weight": torch.zeros(2, 2)}, tmp_path / "mm_projector" / "model.safetensors")
    with pytest.raises(InputError, match="mlp_downsample"):
        load_vila(tmp_path)
