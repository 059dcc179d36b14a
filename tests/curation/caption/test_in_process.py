"""The in-process captioner with a small model of random weights, saved and loaded as a released one is."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from curation import engine
from curation.caption import signature
from curation.caption.asking import Ask
from curation.caption.config import CaptionConfig
from curation.caption.in_process import InProcess
from curation.dataset import open_dataset
from curation.errors import InputError
from curation.run import curate
from curation.steps.finishing import _pool

from ..whole_run import FUNNEL, request, silent
from .tiny_llava import WORDS, save


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The saved model."""
    return save(tmp_path_factory.mktemp("llava"))


def config(folder: Path, **other: Any) -> CaptionConfig:
    """A configuration for the model in a folder."""
    section = {"model": str(folder), "max_new_tokens": 12, "dtype": "float32", **other}
    return CaptionConfig.model_validate({"captioner": "transformers", "transformers": section})


def frame(seed: int) -> bytes:
    """A JPEG of coloured blocks."""
    blocks = np.random.default_rng(seed).integers(0, 255, (4, 4, 3), np.uint8).repeat(8, 0).repeat(8, 1)
    buffer = io.BytesIO()
    Image.fromarray(blocks).save(buffer, "JPEG")
    return buffer.getvalue()


ASKS = [
    Ask("a", 0, "Describe it.", [frame(1), frame(2)]),
    Ask("b", 0, "Describe at some more length what can be seen.", [frame(3), frame(4)]),
    Ask("c", 0, "Describe it.", [frame(5)]),
    Ask("d", 0, "Describe it.", [frame(6), frame(7)]),
]


def test_batches_say_what_single_passes_say(model: Path) -> None:
    """Greedy answers do not depend on what else is in the batch, and each stays with its own frames."""
    one, four = InProcess(config(model, batch_size=1)), InProcess(config(model, batch_size=4))
    single = one.answer(ASKS)
    assert four.answer(ASKS) == single
    assert four.answer(ASKS[::-1]) == single[::-1]
    assert all(isinstance(text, str) and set(text.split()) <= set(WORDS) for text in single)
    assert len(set(single)) == 4


def test_seed_decides_a_warm_answer(model: Path) -> None:
    """With a temperature the same seed says the same, another seed something else."""
    writer = InProcess(config(model))
    warm = ASKS[0]._replace(temperature=1.5, seed=1)
    assert writer.answer([warm]) == writer.answer([warm])
    assert writer.answer([warm]) != writer.answer([warm._replace(seed=2)])


def test_name_says_which_weights(model: Path, tmp_path: Path) -> None:
    """The captioner column names the folder's contents, so that other weights have another name."""
    name = InProcess(config(model)).name
    assert name == signature(config(model))
    assert name.startswith(f"transformers/{model}@sha256:")
    other = shutil.copytree(model, tmp_path / "other")
    (other / "generation_config.json").write_text("{}")
    assert str(signature(config(other))).split("@")[1] != name.split("@")[1]


def test_pickled_weights_are_refused(model: Path, tmp_path: Path) -> None:
    """A folder with pickled weights only is refused, and what is in them does not run."""
    import torch

    folder = shutil.copytree(model, tmp_path / "pickled")
    (folder / "model.safetensors").unlink()
    torch.save({"weight": _Trap(tmp_path / "ran")}, folder / "pytorch_model.bin")
    with pytest.raises(InputError, match="cannot be loaded"):
        InProcess(config(folder))
    assert not (tmp_path / "ran").exists()


class _Trap:
    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self._path,)


def test_a_models_own_code_is_not_run(model: Path, tmp_path: Path) -> None:
    """A model that brings code along is refused."""
    folder = shutil.copytree(model, tmp_path / "coded")
    described = json.loads((folder / "config.json").read_text())
    described |= {"model_type": "its_own", "auto_map": {"AutoConfig": "own.Config"}}
    (folder / "config.json").write_text(json.dumps(described))
    (folder / "own.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\nclass Config: pass\n")
    (folder / "processor_config.json").unlink()
    with pytest.raises(InputError, match="cannot be loaded"):
        InProcess(config(folder))
    assert not (tmp_path / "ran").exists()


def test_missing_folder_is_named(tmp_path: Path) -> None:
    """A folder that is not there is said to be missing, and no hub is asked for it."""
    with pytest.raises(InputError, match="there is no folder"):
        InProcess(config(tmp_path / "nothing"))


def test_whole_run_with_a_model_in_process(here: None, model: Path, media: Path, tmp_path: Path) -> None:
    """A run captions every kept clip with the model; what it repeats is asked for again, warmer."""
    out = tmp_path / "dataset"
    section = config(model, batch_size=4).model_dump()
    section |= {
        "frames": {"per_window": 2, "long_side": 64},
        "checks": {"read_text": False, "attempts": 10, "retry_temperature": 2.0},
    }
    result = curate(request(media, out, caption=section), silent)
    rows = open_dataset(str(out)).table(["caption", "captioner", "verdict", "reason"]).to_pylist()
    kept = [row for row in rows if row["verdict"] == "kept"]
    assert result["funnel"] == FUNNEL
    assert len(kept) == 4
    assert all(set(row["caption"].lower().split()) <= set(WORDS) for row in kept)
    assert {row["captioner"] for row in kept} == {signature(CaptionConfig.model_validate(section))}


def test_use_gpu_asks_for_gpus(model: Path, media: Path, tmp_path: Path) -> None:
    """With cluster.use_gpu each model has a GPU, all GPUs are used, and a cluster without one is refused."""
    section = config(model).model_dump()
    job = request(media, tmp_path / "dataset", caption=section, cluster={"use_gpu": True})
    pool, at_once = _pool(job)
    assert (pool.gpus, at_once) == (1.0, 16)
    assert engine._room({"CPU": 16.0, "GPU": 4.0}, pool) == 4
    with pytest.raises(InputError, match="asks for 1 GPUs and the cluster has 0"):
        engine._room({"CPU": 16.0}, pool)
    without, _ = _pool(request(media, tmp_path / "dataset", caption=section))
    assert engine._room({"CPU": 16.0}, without) == 1


def test_model_that_sees_nothing_is_refused(tmp_path: Path) -> None:
    """A language model without eyes is no captioner."""
    from transformers import LlamaConfig

    LlamaConfig().save_pretrained(tmp_path)
    with pytest.raises(InputError, match="cannot be loaded"):
        InProcess(config(tmp_path))
