from __future__ import annotations

import itertools
import json
from pathlib import Path

import pytest
import torch

from omnivideo.build import PARTS
from omnivideo.config import preset
from omnivideo.decoder import denormalise, normalise
from omnivideo.model import OmniVideoModel
from omnivideo.tokens import marker_id


@pytest.fixture(scope="module")
def saved(model: OmniVideoModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shared model's saved folder."""
    folder = tmp_path_factory.mktemp("model")
    model.save_pretrained(folder)
    return folder


def test_parts_share_no_parameter(model: OmniVideoModel) -> None:
    """The eight parts have the agreed names, share no parameter, and together are the whole model."""
    parts = {name: {id(p) for p in part.parameters()} for name, part in model.parts().items()}
    assert tuple(parts) == PARTS
    assert all(not a & b for a, b in itertools.combinations(parts.values(), 2))
    assert set().union(*parts.values()) == {id(p) for p in model.parameters()}


def test_same_seed_same_weights(model: OmniVideoModel) -> None:
    """One seed gives equal weights whatever the global generator holds, another seed gives others."""
    torch.manual_seed(123)
    again, other = (OmniVideoModel.build(preset("tiny"), seed=seed) for seed in (0, 1))
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), again.parameters(), strict=True))
    assert not torch.equal(model.dit.proj_out.weight, other.dit.proj_out.weight)


def test_saving_and_loading_is_bit_identical(model: OmniVideoModel, saved: Path) -> None:
    """Loaded weights, buffers and tokenizers equal the saved ones bit for bit."""
    loaded = OmniVideoModel.from_pretrained(saved)
    assert loaded.config == model.config
    ours, theirs = dict(model.named_parameters()), dict(loaded.named_parameters())
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    buffers = zip(model.named_buffers(), loaded.named_buffers(), strict=True)
    assert all(a[0] == b[0] and torch.equal(a[1], b[1]) for a, b in buffers)
    assert loaded.tokenizer("a <BOV>").input_ids == model.tokenizer("a <BOV>").input_ids
    # Not to the last bit: weights mapped from a file are aligned otherwise, and sums run in another order.
    ours_seen, theirs_seen = (m.predict_visual(["x"], "video") for m in (model, loaded))
    torch.testing.assert_close(theirs_seen, ours_seen, atol=1e-5, rtol=1e-4)


def test_folder_holds_no_pickle(saved: Path, model: OmniVideoModel) -> None:
    """A saved folder has safetensors for each part, JSON and a template; its two configurations agree."""
    suffixes = {file.suffix for file in saved.rglob("*") if file.is_file()}
    assert suffixes == {".safetensors", ".json", ".jinja", ".md"}
    assert all(list((saved / part).glob("*.safetensors")) for part in PARTS)
    config = json.loads((saved / "config.json").read_text())
    assert config == json.loads((saved / "model_index.json").read_text())["architecture"]
    assert config == model.config.model_dump(mode="json")


def test_half_precision_keeps_the_autoencoder_whole(saved: Path) -> None:
    """Loaded in bfloat16, the autoencoder and Wan's time embedding stay float32."""
    half = OmniVideoModel.from_pretrained(saved, dtype=torch.bfloat16)
    assert {p.dtype for p in half.vae.parameters()} == {torch.float32}
    assert half.dit.condition_embedder.time_embedder.linear_1.weight.dtype == torch.float32
    assert half.dit.blocks[0].attn1.to_q.weight.dtype == torch.bfloat16
    assert half.mllm.body.embed_tokens.weight.dtype == torch.bfloat16


def test_latents_are_normalised_by_the_autoencoders_constants(
    model: OmniVideoModel, clip: torch.Tensor
) -> None:
    """Normalising undoes itself, and encoded clips are (z − mean) / std in float32 at strides 4×8×8."""
    z = torch.randn(1, 16, 2, 3, 3)
    torch.testing.assert_close(denormalise(model.vae, normalise(model.vae, z)), z)
    frames = clip.transpose(1, 2)
    latents = model.encode_video(frames)
    assert latents.shape == (2, 16, 3, 8, 8)
    with torch.no_grad():
        raw = model.vae.encode(frames).latent_dist.mode()
    config = model.vae.config
    expected = (raw[:, 5] - config.latents_mean[5]) / config.latents_std[5]
    torch.testing.assert_close(latents[:, 5], expected)
    assert model.decode_latents(latents).shape == frames.shape


def test_targets_are_pooled_frame_by_frame(model: OmniVideoModel, clip: torch.Tensor) -> None:
    """E holds, frame after frame, the average-pooled SigLIP2 grid of evenly spaced frames."""
    targets = model.vision_targets(clip)
    assert targets.shape == (2, 8, 64)
    first, last = model.vision_targets(clip[:, :1]), model.vision_targets(clip[:, -1:])
    torch.testing.assert_close(targets, torch.cat([first, last], dim=1), atol=1e-5, rtol=1e-4)
    one = model.vision_tower.targets(clip[:1, 0], tokens_per_frame=1)
    whole = model.vision_tower.targets(clip[:1, 0], tokens_per_frame=25)
    torch.testing.assert_close(one[:, 0], whole.mean(dim=1), atol=1e-5, rtol=1e-4)


def test_text_labels_cover_answers_alone(model: OmniVideoModel, clip: torch.Tensor) -> None:
    """Labels are each answer and its end, right-aligned, and a marker in an answer is one label."""
    logits, labels = model.text_logits(["what is it?", "draw"], ["a cat", "<BOV>"], clip)
    assert logits.shape == (2, 6, 264)
    assert model.tokenizer.decode(labels[0]) == "a cat</s>"
    bov = marker_id(model.tokenizer, "<BOV>")
    assert labels[1].tolist() == [-100] * 4 + [bov, model.tokenizer.eos_token_id]


def test_text_logits_predict_the_next_token(model: OmniVideoModel) -> None:
    """The logits beside a label are those of the prompt followed by the labels before it."""
    with torch.no_grad():
        logits, labels = model.text_logits(["why?"], ["so"])
        embeds, mask, _ = model.question_prompt(["why?"])
        after = torch.cat([embeds, model.mllm.embed(labels[:, :1])], dim=1)
        full = model.text_head(model.mllm(after, torch.cat([mask, mask[:, :1]], dim=1)))
    torch.testing.assert_close(logits[:, :2], full[:, -2:], atol=1e-5, rtol=1e-4)


def test_frames_change_the_answer(model: OmniVideoModel, clip: torch.Tensor) -> None:
    """The text head sees the frames."""
    with torch.no_grad():
        a, _ = model.text_logits(["what?"], ["x"], clip[:1])
        b, _ = model.text_logits(["what?"], ["x"], clip[1:])
    assert not torch.allclose(a, b)


def test_text_is_zero_past_its_end(model: OmniVideoModel) -> None:
    """Embeddings past a text's end are exact zeros, and the mask says where the text is."""
    embeddings, mask = model.encode_text(["abc", "a longer text"])
    assert embeddings.shape == (2, 256, 64)
    assert mask.sum(dim=1).tolist() == [4, 14]
    assert embeddings[~mask].abs().max() == 0


def test_a_text_that_does_not_fit_is_reported(model: OmniVideoModel) -> None:
    """A text longer than the encoder reads gives a warning with both figures."""
    with pytest.warns(UserWarning, match="301 tokens is cut to the encoder's 256"):
        model.encode_text(["x" * 300])


def test_training_mode_leaves_frozen_encoders_alone() -> None:
    """`train()` does not switch on the text encoder's dropout."""
    model = OmniVideoModel.build(preset("tiny"), seed=3).train()
    assert model.adapter.training
    assert torch.equal(model.encode_text(["a"])[0], model.encode_text(["a"])[0])


def test_a_training_step_runs_each_weight_once(clip: torch.Tensor) -> None:
    """A step of stage 3, edits and all, calls no trainable layer twice: ZeRO would reduce it wrongly."""
    model = OmniVideoModel.build(preset("tiny"), seed=6).train()
    calls: dict[str, int] = {}
    for part in ("vision_head", "adapter", "dit"):
        for name, layer in model.parts()[part].named_modules():
            if list(layer.parameters(recurse=False)):
                key = f"{part}.{name}"
                layer.register_forward_hook(lambda *_, key=key: calls.update({key: calls.get(key, 0) + 1}))
    prompts, has_source = ["a cat", "make it blue"], torch.tensor([False, True])
    latents = model.encode_video(clip.transpose(1, 2))
    visual = model.stage1_forward(prompts, model.vision_targets(clip), "video", clip, has_source)
    c, mask = model.condition(visual, *model.encode_text(prompts), latents, has_source)
    model.velocity(torch.randn_like(latents), torch.tensor([0.2, 0.7]), c, mask).square().mean().backward()
    assert {name: count for name, count in calls.items() if count != 1} == {}
    assert all(p.grad is not None for part in ("adapter", "dit") for p in model.parts()[part].parameters())
