"""LAION's aesthetic predictors, against transformers' own CLIP and torch's own layers."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from curation import clip as clips
from curation.errors import InputError
from curation.filters import parse
from curation.filters.aesthetics import Aesthetics
from curation.media.child import MediaWorker
from curation.media.picture import PictureClip
from curation.media.records import ScanRequest

from .tiny_clip import head, save_clip, save_head


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders `clip` and `base` and heads of both versions, in both formats."""
    folder = tmp_path_factory.mktemp("models")
    save_clip(folder / "clip")
    save_clip(folder / "base", width=512, vision_only=True)
    for version in ("v1", "v2"):
        for suffix in ("pth", "safetensors"):
            save_head(folder / f"{version}.{suffix}", head(version))
    save_head(folder / "v1-base.pth", head("v1", 512))
    return folder


@pytest.fixture(scope="module")
def photo(images: Path) -> Any:
    """[427,640,3]."""
    return np.asarray(Image.open(images / "rocket.jpg").convert("RGB"))


def rule(models: Path, name: str = "v2.pth", backbone: str = "clip", **fields: Any) -> Aesthetics:
    """The filter on models of these names."""
    return Aesthetics(backbone=str(models / backbone), head=str(models / name), **fields)


def reference(models: Path, photo: Any, version: str) -> float:
    """The rating as LAION's code has it, by transformers and torch alone."""
    import torch
    from transformers import CLIPModel
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

    processor = CLIPImageProcessorPil(size={"shortest_edge": 28}, crop_size={"height": 28, "width": 28})
    pixels = processor(Image.fromarray(photo), return_tensors="pt")["pixel_values"]
    model = CLIPModel.from_pretrained(models / "clip").eval()
    with torch.inference_mode():
        found = model.visual_projection(model.vision_model(pixels).pooler_output)
        module = head(version)
        return float((module if version == "v1" else module.layers)(found / found.norm(dim=-1, keepdim=True)))


@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
@pytest.mark.parametrize("version", ["v1", "v2"])
def test_ratings_are_those_of_the_reference(models: Path, photo: Any, version: str, suffix: str) -> None:
    """Both heads in both formats give what transformers and torch give."""
    scores = rule(models, f"{version}.{suffix}").measure(PictureClip(photo))
    assert scores["mean"] == scores["min"] == pytest.approx(reference(models, photo, version), abs=1e-5)


@pytest.mark.parametrize("shape", [(427, 640), (640, 427), (300, 451), (224, 224), (113, 640), (31, 29)])
def test_frames_are_prepared_as_clips_processor_does(photo: Any, shape: tuple[int, int]) -> None:
    """Resized, cropped and normalised to the last bit, whatever the frame's shape."""
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

    frame = np.asarray(Image.fromarray(photo).resize(shape[::-1]))
    expected = CLIPImageProcessorPil()(Image.fromarray(frame), return_tensors="np")["pixel_values"]
    assert np.abs(clips.prepared(frame[None], 224) - expected).max() < 1e-5


def test_a_clip_is_rated_by_its_frames(models: Path, videos: Path) -> None:
    """Mean and worst frame of a video are scored in this process, and either can be bounded."""
    fields = {"backbone": str(models / "clip"), "head": str(models / "v1.pth")}
    with MediaWorker() as worker:
        for bound, reason in ((0.0, None), (9.9, "low_aesthetics")):
            rules = parse([{"aesthetics": {**fields, "min_mean": None, "min_worst_frame": bound}}])
            (clip,) = worker.scan(videos / "carphone_pristine.mp4", ScanRequest(filters=rules)).clips
            assert clip["reason"] == reason
            assert clip["scores"]["aesthetics_min"] < clip["scores"]["aesthetics_mean"]


def test_a_smaller_backbone_has_its_own_head(models: Path, photo: Any) -> None:
    """ViT-B's 512 numbers fit the head trained on them and no other, which is said before any work."""
    base = rule(models, "v1-base.pth", backbone="base")
    base.check()
    assert 1 < base.measure(PictureClip(photo))["mean"] < 9
    with pytest.raises(InputError, match="takes embeddings of 768 numbers"):
        rule(models, backbone="base").check()


def test_without_weights_it_says_what_to_get() -> None:
    """The check fails before any work, and its advice names what to download and that the filter may go."""
    both = Aesthetics(backbone="nobody/no-clip", head="nobody/no-head/head.pth")
    none = Aesthetics(backbone="/no/such/folder", head="/no/such/head.pth")
    for rule, command in ((both, "hf download nobody/no-clip config.json model.safetensors"), (none, "")):
        with pytest.raises(InputError, match="which this machine has not") as missing:
            rule.check()
        assert rule.backbone in missing.value.what
        assert rule.head in missing.value.what
        assert command in missing.value.next_step
        assert "leave aesthetics out" in missing.value.next_step


def test_a_head_is_weights_and_nothing_else(models: Path, tmp_path: Path) -> None:
    """A pickle with code is refused unrun, and so are other layers than LAION's: none is made to fit."""
    import torch

    marker = tmp_path / "ran"
    torch.save({"weight": _Harm(marker)}, tmp_path / "harm.pth")
    relu = {f"layers.{i}.{part}": torch.zeros(1) for i in (0, 3, 6, 9, 10) for part in ("weight", "bias")}
    torch.save(relu, tmp_path / "relu.pth")
    for name in ("harm.pth", "relu.pth"):
        with pytest.raises(InputError):
            Aesthetics(backbone=str(models / "clip"), head=str(tmp_path / name)).check()
    assert not marker.exists()


class _Harm:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> Any:
        return Path.touch, (self.marker,)


def test_missing_tensors_are_no_random_ones(models: Path, tmp_path: Path, photo: Any) -> None:
    """A backbone without its projection is refused; transformers would make one up."""
    from safetensors.torch import load_file, save_file

    shutil.copytree(models / "clip", tmp_path / "clip")
    state = load_file(tmp_path / "clip" / "model.safetensors")
    del state["visual_projection.weight"]
    save_file(state, tmp_path / "clip" / "model.safetensors", {"format": "pt"})
    torn = Aesthetics(backbone=str(tmp_path / "clip"), head=str(models / "v1.pth"))
    with pytest.raises(InputError, match="visual_projection"):
        torn.measure(PictureClip(photo))


def test_other_weights_are_another_revision(models: Path, tmp_path: Path) -> None:
    """The revision follows the contents of both models, not their place."""
    shutil.copytree(models / "clip", tmp_path / "moved")
    shutil.copy(models / "v1.pth", tmp_path / "moved.pth")
    moved = Aesthetics(backbone=str(tmp_path / "moved"), head=str(tmp_path / "moved.pth"))
    assert moved.revision() == rule(models, "v1.pth").revision()
    save_head(tmp_path / "moved.pth", head("v2"))
    assert moved.revision() != rule(models, "v1.pth").revision()


def test_a_hub_id_means_what_was_downloaded(
    models: Path, tmp_path: Path, photo: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Models in the hub's local cache are used without a network, their commits being the revision."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    for repository, commit, source in (
        ("some/clip", "a" * 40, models / "clip"),
        ("some/head", "b" * 40, models / "v2.safetensors"),
    ):
        place = tmp_path / f"models--{repository.replace('/', '--')}"
        (place / "refs").mkdir(parents=True)
        (place / "refs" / "main").write_text(commit)
        snapshot = place / "snapshots" / commit
        if source.is_dir():
            shutil.copytree(source, snapshot)
        else:
            snapshot.mkdir(parents=True)
            shutil.copy(source, snapshot / "model.safetensors")
    cached = Aesthetics(backbone="some/clip", head="some/head/model.safetensors")
    cached.check()
    assert cached.revision() == f"some/clip@{'a' * 40}, some/head/model.safetensors@{'b' * 40}"
    assert cached.measure(PictureClip(photo)) == rule(models).measure(PictureClip(photo))
