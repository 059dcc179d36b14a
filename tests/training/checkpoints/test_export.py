from __future__ import annotations

from pathlib import Path

import torch

from omnivideo.config import preset
from omnivideo.model import OmniVideoModel
from training.checkpoints.atomic import write_folder
from training.checkpoints.export import copy, export


def test_frozen_parts_keep_their_files_and_trained_ones_change(tmp_path: Path) -> None:
    """Whatever type a frozen part was computed in, its exported bytes are the earlier model's own."""
    model = OmniVideoModel.build(preset("tiny"))
    base, after = tmp_path / "init", tmp_path / "stage-2" / "model"
    write_folder(base, model.save_pretrained)
    original = (base / "adapter" / "diffusion_pytorch_model.safetensors").read_bytes()
    with torch.no_grad():
        next(model.adapter.parameters()).add_(1)
    model.mllm.bfloat16()
    export(base, model, ["adapter"], after)
    for path in base.rglob("*.safetensors"):
        same = path.read_bytes() == (after / path.relative_to(base)).read_bytes()
        assert same == (path.parent.name != "adapter")
    assert (base / "adapter" / "diffusion_pytorch_model.safetensors").read_bytes() == original
    loaded = OmniVideoModel.from_pretrained(after)
    assert torch.equal(next(loaded.adapter.parameters()), next(model.adapter.parameters()))


def test_a_folder_is_replaced_whole(tmp_path: Path) -> None:
    """What a killed export left beside the folder is cleared, and old files do not linger."""
    base, folder = tmp_path / "base", tmp_path / "model"
    (base / "part").mkdir(parents=True)
    (base / "part" / "weights").write_text("new")
    (tmp_path / "model.partial").mkdir()
    (folder / "old").mkdir(parents=True)
    copy(base, folder)
    assert [str(path.relative_to(folder)) for path in sorted(folder.rglob("*"))] == ["part", "part/weights"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["base", "model"]
