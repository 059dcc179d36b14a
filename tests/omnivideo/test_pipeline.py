from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from omnivideo.config import OmniVideoConfig, preset
from omnivideo.errors import InputError
from omnivideo.model import OmniVideoModel
from omnivideo.pipeline import OmniVideoPipeline
from omnivideo.tokens import MARKERS


def _seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_a_video_has_the_shape_asked_for_and_follows_its_seed(pipeline: OmniVideoPipeline) -> None:
    """The same seed gives the same frames, another seed others, in the size and length asked for."""
    sizes = {"height": 32, "width": 48, "num_frames": 5, "steps": 2}
    a, b, c = (pipeline("a cat", generator=_seeded(s), **sizes).frames for s in (0, 0, 1))
    assert a.shape == (1, 5, 32, 48, 3)
    assert a.dtype == np.uint8
    assert np.array_equal(a, b)
    assert not np.array_equal(a, c)


def test_an_image_is_one_frame(pipeline: OmniVideoPipeline) -> None:
    """One frame for each of two prompts gives two images."""
    result = pipeline(["a cat", "a dog"], num_frames=1, steps=2, generator=_seeded())
    assert result.frames.shape == (2, 1, 64, 64, 3)
    assert result.fps == 8


def test_prompts_in_a_batch_do_not_mix(pipeline: OmniVideoPipeline) -> None:
    """A prompt renders the same alone as in a batch, given the same noise."""
    noise = torch.randn(2, 16, 2, 4, 4, generator=_seeded())
    options: dict[str, Any] = {
        "height": 32,
        "width": 32,
        "num_frames": 5,
        "steps": 2,
        "output_type": "latent",
    }
    both = pipeline(["a cat", "a longer prompt"], latents=noise, **options).frames
    alone = pipeline("a cat", latents=noise[:1], **options).frames
    torch.testing.assert_close(both[:1], alone, atol=1e-4, rtol=1e-3)


def test_without_guidance_the_negative_prompt_is_not_asked(pipeline: OmniVideoPipeline) -> None:
    """At guidance 1 the negative prompt changes nothing; at 3 it does."""
    options: dict[str, Any] = {
        "height": 32,
        "width": 32,
        "num_frames": 1,
        "steps": 2,
        "output_type": "latent",
    }

    def run(scale: float, negative: str) -> torch.Tensor:
        result = pipeline(
            "a cat", guidance_scale=scale, negative_prompt=negative, generator=_seeded(), **options
        )
        frames: torch.Tensor = result.frames
        return frames

    assert torch.equal(run(1.0, "blurred"), run(1.0, "sharp"))
    assert not torch.equal(run(3.0, "blurred"), run(3.0, "sharp"))


def test_an_edit_follows_its_source(pipeline: OmniVideoPipeline) -> None:
    """Two sources under one seed and instruction give two results, as long as the source allows."""
    rng = np.random.default_rng(0)
    sources = [rng.integers(0, 255, (7, 40, 60, 3), dtype=np.uint8) for _ in range(2)]
    a, b = (pipeline("make it blue", source=s, steps=2, generator=_seeded()).frames for s in sources)
    assert a.shape == (1, 5, 64, 64, 3)
    assert not np.array_equal(a, b)


def test_an_image_edit_takes_a_picture(pipeline: OmniVideoPipeline, images: Path) -> None:
    """A picture's path as source gives one edited frame."""
    result = pipeline("paint it", source=images / "coffee.png", steps=1, generator=_seeded())
    assert result.frames.shape == (1, 1, 64, 64, 3)


def test_think_mode_renders_the_rewrite(pipeline: OmniVideoPipeline) -> None:
    """With `think` the output's prompt is the rewrite, and rendering that prompt gives the same frames."""
    noise = torch.randn(1, 16, 1, 8, 8, generator=_seeded(3))
    options: dict[str, Any] = {"num_frames": 1, "steps": 2, "latents": noise}
    thought = pipeline("a cat", think=True, generator=_seeded(1), **options)
    assert thought.prompts != ["a cat"]
    direct = pipeline(thought.prompts, **options)
    assert np.array_equal(thought.frames, direct.frames)


def test_questions_are_answered_in_text(pipeline: OmniVideoPipeline, images: Path, videos: Path) -> None:
    """Answers to an image and a clip are seeded text without markers, no longer than asked."""
    for media in (images / "coffee.png", videos / "carphone_pristine.mp4"):
        a, b = (pipeline.ask(media, "What is this?", max_new_tokens=8, generator=_seeded()) for _ in range(2))
        assert a == b
        assert len(a) <= 8
        assert not any(marker in a for marker in MARKERS)
        assert all(character.isprintable() or character in "\n\t" for character in a)


def test_a_callback_sees_and_may_change_each_step(pipeline: OmniVideoPipeline) -> None:
    """The callback is called once a step, and latents that it returns go on."""
    seen: list[int] = []

    def still(_: Any, step: int, __: torch.Tensor, tensors: dict[str, Any]) -> dict[str, Any]:
        seen.append(step)
        return {"latents": torch.zeros_like(tensors["latents"])}

    frames = pipeline(
        "x", num_frames=1, steps=3, callback_on_step_end=still, output_type="latent", generator=_seeded()
    ).frames
    assert seen == [0, 1, 2]
    assert frames.abs().max() == 0


def test_bad_sizes_and_sources_are_input_errors(pipeline: OmniVideoPipeline, tmp_path: Path) -> None:
    """Frames that are not 4n+1, sides that are not multiples of 16 and missing files are told apart."""
    with pytest.raises(InputError, match="num_frames is 8"):
        pipeline("x", num_frames=8)
    with pytest.raises(InputError, match="height is 50"):
        pipeline("x", height=50)
    with pytest.raises(InputError, match="there is no file"):
        pipeline("x", source=tmp_path / "none.mp4")
    with pytest.raises(InputError, match="uint8"):
        pipeline("x", source=np.zeros((4, 4, 3)))


@pytest.mark.parametrize("prompt", ["", "  \n", "<BOV>", ["a cat", ""], []])
def test_an_empty_prompt_is_an_input_error(pipeline: OmniVideoPipeline, prompt: str | list[str]) -> None:
    """A prompt without words, markers not counted, is refused; so is an empty question."""
    with pytest.raises(InputError, match="the prompt is empty"):
        pipeline(prompt)
    with pytest.raises(InputError, match="the question is empty"):
        pipeline.ask(np.zeros((1, 8, 8, 3), np.uint8), "")


def test_a_missing_weight_file_is_named(pipeline: OmniVideoPipeline, tmp_path: Path) -> None:
    """A folder without one part's weights, or one shard of them, is refused before anything is loaded."""
    pipeline.save_pretrained(tmp_path)
    pipeline.dit.save_pretrained(tmp_path / "dit", max_shard_size="500KB")
    (tmp_path / "dit" / "diffusion_pytorch_model.safetensors").unlink()
    OmniVideoPipeline.from_pretrained(tmp_path)
    shard = sorted((tmp_path / "dit").glob("*.safetensors"))[1]
    for file in (shard, *(tmp_path / "mllm").glob("*.safetensors")):  # mllm is looked at before dit
        file.unlink()
        with pytest.raises(InputError, match=f"{file.parent}/.* is missing"):
            OmniVideoPipeline.from_pretrained(tmp_path)


def test_the_progress_bar_counts_the_steps(model: OmniVideoModel) -> None:
    """The bar ends at the number of steps asked for."""
    pipeline, shown = OmniVideoPipeline.of(model), io.StringIO()
    pipeline.set_progress_bar_config(file=shown)
    pipeline("a cat", num_frames=1, steps=3, height=16, width=16)
    assert "3/3" in shown.getvalue()


def test_tiles_and_offloading_change_no_more_than_they_must() -> None:
    """With every part moved in and out, frames are the same; in tiles that overlap, about the same."""
    model = OmniVideoModel.build(preset("tiny"), seed=0)
    pipeline = OmniVideoPipeline.of(model)
    pipeline.set_progress_bar_config(disable=True)
    options: dict[str, Any] = {"num_frames": 5, "steps": 2, "output_type": "pt"}
    source = np.zeros((5, 64, 64, 3), np.uint8)
    plain = pipeline("a cat", source=source, generator=_seeded(), **options).frames
    pipeline.enable_model_cpu_offload(device="cpu")
    assert torch.equal(pipeline("a cat", source=source, generator=_seeded(), **options).frames, plain)
    assert pipeline.ask(source, "why?", max_new_tokens=2, temperature=0) is not None
    pipeline.vae.enable_tiling(32, 32, 24, 24)
    tiled = pipeline("a cat", generator=_seeded(), **options).frames
    pipeline.vae.disable_tiling()
    whole = pipeline("a cat", generator=_seeded(), **options).frames
    assert tiled.shape == whole.shape
    assert torch.cosine_similarity(tiled.flatten(), whole.flatten(), dim=0) > 0.6


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    """A folder without a model, or with another pipeline, is an input error that says what it holds."""
    with pytest.raises(InputError, match=r"no model_index\.json"):
        OmniVideoPipeline.from_pretrained(tmp_path)
    (tmp_path / "model_index.json").write_text('{"_class_name": "WanPipeline"}')
    with pytest.raises(InputError, match="a WanPipeline"):
        OmniVideoPipeline.from_pretrained(tmp_path)


def test_a_reloaded_pipeline_generates_the_same(pipeline: OmniVideoPipeline, tmp_path: Path) -> None:
    """Frames before saving and after loading are the same up to rounding."""
    pipeline.save_pretrained(tmp_path)
    loaded = OmniVideoPipeline.from_pretrained(tmp_path)
    loaded.set_progress_bar_config(disable=True)
    assert isinstance(loaded.omni_config, OmniVideoConfig)
    a, b = (p("a cat", num_frames=5, steps=2, generator=_seeded()).frames for p in (pipeline, loaded))
    assert np.abs(a.astype(int) - b).max() <= 1
