"""Models that come with the package."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from omnivideo import shipped


def test_there_is_a_model_of_under_8_mb_in_half_precision() -> None:
    """Every tensor of the shipped model is bfloat16, and all its files together are under 8 MB."""
    files = [path for path in shipped.folder("shapes-tiny").rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 8e6
    weights = [load_file(path) for path in files if path.suffix == ".safetensors"]
    assert {tensor.dtype for tensors in weights for tensor in tensors.values()} == {torch.bfloat16}


def test_a_name_stands_for_a_shipped_model_unless_there_is_such_a_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A shipped model is found by its name from anywhere, but a folder of that name goes first."""
    monkeypatch.chdir(tmp_path)
    assert shipped.folder("shapes-tiny").is_relative_to(shipped.WEIGHTS)
    (tmp_path / "shapes-tiny").mkdir()
    assert shipped.folder("shapes-tiny") == Path("shapes-tiny")
