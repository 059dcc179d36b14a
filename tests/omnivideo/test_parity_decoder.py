"""The decoder beside diffusers and transformers, on the same random weights and shapes of their own."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from diffusers import AutoencoderKLWan, UniPCMultistepScheduler, WanPipeline, WanTransformer3DModel
from transformers import UMT5Config, UMT5EncoderModel

from omnivideo.model import OmniVideoModel
from omnivideo.pipeline import OmniVideoPipeline
from omnivideo.sampling import Sampling, denoise

EXACT = {"atol": 1e-5, "rtol": 1e-5}


def _twin(dit: Any) -> Any:
    twin = WanTransformer3DModel.from_config(dit.config)
    twin.load_state_dict(dit.state_dict())
    return twin.eval()


def _wan(model: OmniVideoModel, shift: float) -> Any:
    scheduler = UniPCMultistepScheduler(
        prediction_type="flow_prediction", use_flow_sigmas=True, num_train_timesteps=1000, flow_shift=shift
    )
    pipeline = WanPipeline(model.text_tokenizer, model.text_encoder, model.vae, scheduler, _twin(model.dit))
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def _noise(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(11))


@pytest.mark.parametrize("shape", [(1, 4, 4), (2, 6, 10), (3, 8, 4)])
def test_the_transformer_is_wans(model: OmniVideoModel, shape: tuple[int, int, int]) -> None:
    """Without a mask our transformer gives what diffusers' own gives for the same weights."""
    x, c, t = _noise(2, 16, *shape), _noise(2, 9, 64), torch.tensor([999.0, 313.0])
    with torch.no_grad():
        theirs = _twin(model.dit)(x, t, c, return_dict=False)[0]
        torch.testing.assert_close(model.predict_flow(x, t, c), theirs, **EXACT)
        torch.testing.assert_close(model.velocity(x, 1 - t / 1000, c), -theirs, **EXACT)


@pytest.mark.parametrize(("frames", "height", "width"), [(1, 32, 48), (5, 48, 32), (9, 16, 32)])
def test_the_autoencoder_is_wans(model: OmniVideoModel, frames: int, height: int, width: int) -> None:
    """Latents are diffusers' posterior mode by the constants of its configuration, and decode as there."""
    vae = AutoencoderKLWan.from_config(model.vae.config)
    vae.load_state_dict(model.vae.state_dict())
    clip = _noise(1, 3, frames, height, width).tanh()
    mean, std = (torch.tensor(vae.config[k]).view(1, 16, 1, 1, 1) for k in ("latents_mean", "latents_std"))
    with torch.no_grad():
        latents = (vae.encode(clip).latent_dist.mode() - mean) / std
        decoded = vae.decode(latents * std + mean).sample
    torch.testing.assert_close(model.encode_video(clip), latents, **EXACT)
    torch.testing.assert_close(model.decode_latents(latents), decoded, **EXACT)


def test_text_is_umt5s_with_wans_zeros(model: OmniVideoModel) -> None:
    """Text embeddings equal transformers' encoder on each text alone, and diffusers' way of padding them."""
    encoder = UMT5EncoderModel(UMT5Config(**model.text_encoder.config.to_dict()))
    encoder.load_state_dict(model.text_encoder.state_dict())
    texts = ["a cat", "two dogs run over a hill", ""]
    ours, mask = model.encode_text(texts)
    for row, text in enumerate(texts):
        ids = model.text_tokenizer(text, return_tensors="pt").input_ids
        with torch.no_grad():
            alone = encoder.eval()(ids).last_hidden_state[0]
        torch.testing.assert_close(ours[row, mask[row]], alone, atol=1e-5, rtol=1e-4)
    theirs, _ = _wan(model, 3.0).encode_prompt(
        texts, do_classifier_free_guidance=False, max_sequence_length=256
    )
    torch.testing.assert_close(ours, theirs, **EXACT)


@pytest.mark.parametrize(("scale", "shift", "steps"), [(3.0, 3.0, 8), (5.0, 5.0, 5), (3.0, 1.0, 4)])
def test_sampling_is_wans(model: OmniVideoModel, scale: float, shift: float, steps: int) -> None:
    """Guidance, flow shift and UniPC give diffusers' latents from the same noise and text embeddings."""
    positive, negative = (model.encode_text([text])[0] for text in ("a cat", "blurred"))
    noise, settings = _noise(1, 16, 2, 4, 6), Sampling(32, 48, 5, steps, scale, shift)
    theirs = _wan(model, shift)(
        prompt_embeds=positive,
        negative_prompt_embeds=negative,
        latents=noise,
        height=32,
        width=48,
        num_frames=5,
        num_inference_steps=steps,
        guidance_scale=scale,
        output_type="latent",
    ).frames
    c = torch.cat([negative, positive])
    with torch.no_grad():
        ours = denoise(model, noise, (c, torch.ones(c.shape[:2], dtype=torch.bool)), settings)
    torch.testing.assert_close(ours, theirs, **EXACT)


def test_the_whole_call_is_wans_under_our_condition(
    model: OmniVideoModel, pipeline: OmniVideoPipeline
) -> None:
    """Given the adapter's output as its text, diffusers' pipeline renders the frames that ours renders."""
    texts = [model.config.generation.negative_prompt, "a cat"]
    visual = model.predict_visual(texts, "video")
    with torch.no_grad():
        c, _ = model.condition(visual, *model.encode_text(texts))
    noise = _noise(1, 16, 2, 4, 4)
    ours = pipeline(
        "a cat", latents=noise, height=32, width=32, num_frames=5, steps=4, output_type="pt"
    ).frames
    theirs = _wan(model, model.config.scheduler.flow_shift)(
        prompt_embeds=c[1:],
        negative_prompt_embeds=c[:1],
        latents=noise,
        height=32,
        width=32,
        num_frames=5,
        num_inference_steps=4,
        guidance_scale=3.0,
        output_type="pt",
    ).frames
    seen = ((ours + 1) / 2).clamp(0, 1).transpose(1, 2)
    torch.testing.assert_close(seen, theirs, **EXACT)
