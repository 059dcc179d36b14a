from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from omnivideo import lora
from omnivideo.build import build_part
from omnivideo.config import preset
from omnivideo.errors import InputError
from omnivideo.lora import FILE, FOLDER, Lora
from omnivideo.model import OmniVideoModel
from omnivideo.pipeline import OmniVideoPipeline
from tests.training.conftest import tiny_request
from training.loop.worker import train
from training.model.frozen import digest
from training.model.lora import LoraSection, insert, take_out
from training.parallel.team import Team
from training.run import Run

pytest.importorskip("peft")


def through(dit: Any) -> Tensor:
    """The transformer's output for one made-up input."""
    source = torch.Generator().manual_seed(0)
    x, c = (torch.randn(*shape, generator=source) for shape in ((1, 16, 2, 4, 6), (1, 5, 64)))
    with torch.no_grad():
        out: Tensor = dit(x, torch.tensor([500.0]), c, return_dict=False)[0]
    return out


def adapted() -> tuple[Any, Lora, Tensor]:
    """A transformer as it was before a LoRA was trained in it, that LoRA, and the output with it."""
    dit: Any = build_part("dit", preset("tiny"))
    before = digest(dit)
    insert(dit, LoraSection(rank=4, alpha=8.0), seed=0)
    with torch.no_grad():
        for name, parameter in dit.named_parameters():
            if parameter.requires_grad:
                assert ".lora_" in name
                parameter.add_(0.05 * torch.randn(parameter.shape))
    output, found = through(dit), take_out(dit)
    assert found is not None
    assert digest(dit) == before
    return dit, found, output


def test_merged_equals_apart_and_diffusers_reads_it(tmp_path: Path) -> None:
    """Beside the weights or added to them, a LoRA gives one output, read here or by diffusers."""
    dit, found, output = adapted()
    assert (through(dit) - output).norm() > 0.01 * output.norm()
    found.save(tmp_path)
    read = lora.load(tmp_path)
    assert (read.alpha, read.layers) == (8.0, found.layers)
    lora.merge(dit, read)
    torch.testing.assert_close(through(dit), output, rtol=1e-4, atol=1e-5)
    theirs: Any = build_part("dit", preset("tiny"))
    with safe_open(tmp_path / FILE, "pt") as file:
        metadata = json.loads(file.metadata()[lora.METADATA])
    theirs.load_lora_adapter(load_file(tmp_path / FILE), prefix=None, metadata=metadata)
    torch.testing.assert_close(through(theirs), output, rtol=1e-4, atol=1e-5)
    with pytest.raises(InputError, match="the transformer has"):
        lora.merge(build_part("dit", preset("small")), read)
    (tmp_path / "other.safetensors").write_bytes(b"no")
    with pytest.raises(InputError, match="no LoRA at"):
        lora.load(tmp_path / "other.safetensors")
    save_file({"a": torch.zeros(1)}, tmp_path / "other.safetensors")
    with pytest.raises(InputError, match="peft's layout"):
        lora.load(tmp_path / "other.safetensors")


def test_targets_that_are_not_there_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """As is training one without peft."""
    with pytest.raises(InputError, match="targets"):
        insert(build_part("dit", preset("tiny")), LoraSection(targets=("to_nowhere",)), 0)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match="needs peft"):
        insert(build_part("dit", preset("tiny")), LoraSection(), 0)


def test_stage_3_trains_a_lora_and_leaves_the_transformer_alone(
    dataset: str, tmp_path: Path, team: Team
) -> None:
    """Two runs that differ in their export: one folder's transformer is the base's own file with a LoRA
    beside it, the other's is merged, and loaded both are the same.
    """
    base = tmp_path / "base"
    OmniVideoModel.build(preset("tiny")).save_pretrained(base)
    loaded = {}
    for way in ("apart", "merged"):
        phase = {"steps": 2, "batch_size": 4, "micro_batch_size": 2, "learning_rate": 1e-2}
        stage = {**phase, "lora": {"rank": 2, "alpha": 4.0, "export": way}}
        request = tiny_request(dataset, tmp_path / way, model={"path": str(base)}, only_stage="3")
        stages = request.stages.model_copy(
            update={"stage_3": type(request.stages.stage_3).model_validate(stage)}
        )
        train(request.model_copy(update={"stages": stages}), team)
        run = Run(tmp_path / way)
        record = run.record("3")
        assert record is not None
        assert record["before"]["dit"] == record["after"]["dit"]
        (told,) = record["phases"]
        assert told["trainable"] < sum(p.numel() for p in build_part("dit", preset("tiny")).parameters())
        loaded[way] = OmniVideoPipeline.from_pretrained(run.model).dit
        assert (run.model / FOLDER / FILE).exists() == (way == "apart")
        same = (run.model / "dit" / "diffusion_pytorch_model.safetensors").read_bytes() == (
            base / "dit" / "diffusion_pytorch_model.safetensors"
        ).read_bytes()
        assert same == (way == "apart")
        assert "dit.lora" in json.dumps(
            json.loads((tmp_path / way / "metrics.jsonl").read_text().split("\n")[0])
        )
    torch.testing.assert_close(through(loaded["apart"]), through(loaded["merged"]), rtol=1e-4, atol=1e-5)
    plain = through(OmniVideoPipeline.from_pretrained(base).dit)
    assert not torch.equal(through(loaded["merged"]), plain)
