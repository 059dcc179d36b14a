"""The real protocol on small random weights of the real architectures."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from omnivideo.errors import InputError
from omnivideo.evaluation.geneval import COLORS, GenEval, read_prompts
from omnivideo.evaluation.protocol import Box, Detection

CLAIMS = {
    "tag": "colors",
    "prompt": "a red sofa",
    "include": [{"class": "couch", "count": 1, "color": "red"}],
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A Mask2Former of three classes and a CLIP, random and tiny, as transformers saves them."""
    from transformers import (
        CLIPConfig,
        CLIPImageProcessor,
        CLIPModel,
        Mask2FormerConfig,
        Mask2FormerForUniversalSegmentation,
        Mask2FormerImageProcessor,
        SwinConfig,
    )

    from omnivideo.tokens import byte_tokenizer

    torch.manual_seed(0)
    root = tmp_path_factory.mktemp("geneval")
    detector, clip = root / "detector", root / "clip"
    swin = SwinConfig(
        image_size=64,
        embed_dim=8,
        depths=[1, 1, 1, 1],
        num_heads=[1, 1, 1, 1],
        window_size=4,
        out_features=["stage1", "stage2", "stage3", "stage4"],
    )
    config = Mask2FormerConfig(
        backbone_config=swin,
        feature_size=32,
        mask_feature_size=32,
        hidden_dim=32,
        encoder_feedforward_dim=16,
        encoder_layers=1,
        decoder_layers=2,
        num_attention_heads=2,
        dim_feedforward=16,
        num_queries=8,
        id2label={0: "sofa", 1: "mouse", 2: "dog"},
        label2id={"sofa": 0, "mouse": 1, "dog": 2},
    )
    Mask2FormerForUniversalSegmentation(config).save_pretrained(detector)
    Mask2FormerImageProcessor(size={"height": 64, "width": 64}).save_pretrained(detector)
    small = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    text = {**small, "vocab_size": 300, "max_position_embeddings": 77, "eos_token_id": 1}
    vision = {**small, "image_size": 32, "patch_size": 16}
    CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=8)).save_pretrained(clip)
    square = {"height": 32, "width": 32}
    CLIPImageProcessor(size={"shortest_edge": 32}, crop_size=square).save_pretrained(clip)
    byte_tokenizer(append_eos=True).save_pretrained(clip)
    return detector, clip


def test_it_judges_an_image(folders: tuple[Path, Path]) -> None:
    """An image goes through both models; with a lower bar, boxes lie in it and have colours."""
    judge = GenEval(*folders)
    image = np.random.default_rng(0).integers(0, 256, (48, 40, 3), np.uint8)
    assert not judge.judge(CLAIMS, image).correct
    found = judge._detect(image, 0.0)
    assert found
    assert all(
        0 <= one.box.left < one.box.right <= 40 and 0 <= one.box.top < one.box.bottom <= 48 for one in found
    )
    assert set(judge._colors(image, found)) <= set(COLORS)


def test_colors_are_asked_about_the_object_alone(folders: tuple[Path, Path]) -> None:
    """What surrounds an object does not change its colour."""
    judge, mask = GenEval(*folders), np.zeros((48, 40), bool)
    mask[10:30, 10:30] = True
    image = np.random.default_rng(0).integers(0, 256, (48, 40, 3), np.uint8)
    other = np.where(mask[..., None], image, 255 - image)
    one = Detection("couch", Box(5, 5, 35, 35), 1.0, None, {"mask": mask})
    assert judge._colors(image, [one]) == judge._colors(other, [one])


def test_names_are_genevals(folders: tuple[Path, Path]) -> None:
    """A checkpoint's sofa is GenEval's couch; a class that it does not know is one clear error."""
    judge = GenEval(*folders)
    judge.check([CLAIMS])
    with pytest.raises(InputError, match="knows no 'zebra'"):
        judge.check([{**CLAIMS, "include": [{"class": "zebra", "count": 1}]}])


def test_missing_weights_are_one_error(folders: tuple[Path, Path], tmp_path: Path) -> None:
    """An empty folder, and one of another model, are said to be that."""
    with pytest.raises(InputError, match="no detector weights"):
        GenEval(tmp_path, folders[1])
    with pytest.raises(InputError, match="holds a mask2former"):
        GenEval(folders[0], folders[0])


def test_the_prompt_file_is_read(tmp_path: Path) -> None:
    """Lines of GenEval's file are claims; a line that is none is named."""
    path = tmp_path / "evaluation_metadata.jsonl"
    path.write_text(json.dumps(CLAIMS) + "\n\n")
    assert read_prompts(path) == [CLAIMS]
    path.write_text(json.dumps(CLAIMS) + '\n{"tag": "colors"}\n')
    with pytest.raises(InputError, match="line 2"):
        read_prompts(path)
    with pytest.raises(InputError, match="no prompt file"):
        read_prompts(tmp_path / "nothing.jsonl")
