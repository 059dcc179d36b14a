"""Backbones from nothing: the folders that they leave, and the model that is made of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from omnivideo.errors import InputError
from omnivideo.model import OmniVideoModel
from omnivideo.released import load_siglip, load_vila, load_wan
from training.backbones.stage import train_backbones
from training.config import TrainRequest
from training.parallel.team import Team
from training.run import Run

LESSON = {"steps": 1, "batch_size": 4, "scenes": 6}
OVERRIDES = {"dit.num_layers": 1, "vae.base_dim": 8, "mllm.llm.num_hidden_layers": 1}


def request(folder: Path, **backbones: Any) -> TrainRequest:
    """A step of each backbone at the smallest size."""
    document = {
        "data": "shapes://16?size=32",
        "out": str(folder),
        "model": {"preset": "shapes-tiny", "overrides": OVERRIDES},
        "backbones": {
            **{"size": 32, "num_frames": 1, "processes": 1},
            **{"autoencoder": LESSON, "reader": LESSON, "painter": LESSON, **backbones},
        },
    }
    return TrainRequest.model_validate(document)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Backbones of one step each."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("training.backbones.stage.UNSEEN", 4)
        patch.setattr("training.backbones.reader.REWRITES", 8)
        patch.setattr("training.backbones.painter.CATEGORIES", ("single_object", "single_object"))
        run = Run(tmp_path_factory.mktemp("backbones"))
        torch.set_num_threads(1)
        train_backbones(request(run.root), run, Team())
    return run


def test_the_folders_load_as_released_ones(run: Run) -> None:
    """VILA's, SigLIP2's and Wan's own loaders read them; the target is the tower without its last layer."""
    vila, target = load_vila(run.backbones / "vila"), load_siglip(run.backbones / "siglip2")
    wan = load_wan(run.backbones / "wan")
    pixels = torch.rand(1, 3, 64, 64) * 2 - 1
    with torch.no_grad():
        read = vila.tower(pixels, output_hidden_states=True).hidden_states[-2]
        seen = target(pixels, output_hidden_states=True).hidden_states[-1]
    torch.testing.assert_close(read, seen)
    assert wan.vae.config.latents_std != [1.0] * 16
    assert wan.dit.config.num_layers == 1


def test_the_model_of_them_begins_the_run(run: Run) -> None:
    """The initial model has the tokenizers learnt here and answers, and the records say what was trained."""
    model = OmniVideoModel.from_pretrained(run.init)
    assert len(model.tokenizer("a red circle").input_ids) == 3
    assert torch.isfinite(model.text_logits(["What color is it?"], ["red"])[0]).all()
    names = [stage["name"] for stage in run.summary()["stages"]]
    assert names == ["backbone-autoencoder", "backbone-painter", "backbone-reader"]
    record = json.loads((run.backbones / "autoencoder.json").read_text())
    assert set(record["report"]) == {"image_psnr", "image_judged"}


def test_a_trained_autoencoder_is_taken(run: Run, tmp_path: Path) -> None:
    """With a path, its files are copied and nothing is trained; a path without one is refused."""
    taken = request(tmp_path, autoencoder={"path": str(run.backbones / "autoencoder")})
    train_backbones(taken, Run(tmp_path), Team(), ["autoencoder"])
    name = "autoencoder/diffusion_pytorch_model.safetensors"
    assert (tmp_path / "backbones" / name).read_bytes() == (run.backbones / name).read_bytes()
    with pytest.raises(InputError, match="no autoencoder"):
        train_backbones(
            request(tmp_path / "other", autoencoder={"path": "nowhere"}), Run(tmp_path / "other"), Team()
        )
