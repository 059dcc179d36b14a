"""The decoder: Wan2.1's transformer, autoencoder, text encoder and scheduler, as diffusers has them."""

from __future__ import annotations

from typing import Any

import torch
from diffusers import AutoencoderKLWan, UniPCMultistepScheduler, WanTransformer3DModel
from diffusers.models.transformers.transformer_wan import WanAttnProcessor
from torch import Tensor
from transformers import UMT5Config, UMT5EncoderModel

from omnivideo.config import DitConfig, SchedulerConfig, TextEncoderConfig, VaeConfig
from omnivideo.flow import TRAIN_TIMESTEPS


def build_dit(config: DitConfig) -> Any:
    """A WanTransformer3DModel with random weights."""
    return WanTransformer3DModel(**config.model_dump(), in_channels=16, out_channels=16)


def build_vae(config: VaeConfig) -> Any:
    """An AutoencoderKLWan with random weights: 16 channels, strides 4×8×8, Wan2.1's latent constants."""
    return AutoencoderKLWan(
        base_dim=config.base_dim,
        dim_mult=list(config.dim_mult),
        num_res_blocks=config.num_res_blocks,
        temperal_downsample=list(config.temperal_downsample),
        patch_size=config.patch_size,
        in_channels=config.pixel_channels,
        out_channels=config.pixel_channels,
    )


def build_text_encoder(config: TextEncoderConfig) -> Any:
    """A UMT5EncoderModel with random weights."""
    fields = config.model_dump(exclude={"max_tokens"})
    return UMT5EncoderModel(UMT5Config(**fields, feed_forward_proj="gated-gelu"))


def build_scheduler(config: SchedulerConfig) -> Any:
    """UniPC that predicts flow over flow sigmas (section 5.1)."""
    return UniPCMultistepScheduler(
        num_train_timesteps=TRAIN_TIMESTEPS,
        prediction_type="flow_prediction",
        use_flow_sigmas=True,
        flow_shift=config.flow_shift,
    )


UNDER_A_MASK = WanAttnProcessor()
"""By PyTorch's choice of kernel, whichever was asked for where there is no mask."""


class MaskedCrossAttention(WanAttnProcessor):  # type: ignore[misc]  # diffusers ships no types
    """Wan's attention with a condition mask in cross-attention, which diffusers' block has no argument for.

    `mask` [B, 1, 1, S] is set for each forward and stays until the next, so checkpointed blocks recompute
    with it.
    """

    mask: Tensor | None = None

    def __call__(  # noqa: D102 -- the signature of the class it extends
        self,
        attn: Any,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
        rotary_emb: Any = None,
    ) -> Tensor:
        mask = self.mask if attention_mask is None else attention_mask
        attend = super().__call__ if mask is None else UNDER_A_MASK
        out: Tensor = attend(attn, hidden_states, encoder_hidden_states, mask, rotary_emb)
        return out


def install_condition_mask(dit: Any) -> None:
    """Give each cross-attention of the transformer its MaskedCrossAttention; weights are untouched."""
    for block in dit.blocks:
        if not isinstance(block.attn2.processor, MaskedCrossAttention):
            block.attn2.set_processor(MaskedCrossAttention())


def set_condition_mask(dit: Any, mask: Tensor | None) -> None:
    """Use mask [B, S] (true: attend) in the following forwards; an all-true mask costs nothing."""
    bias = None if mask is None or bool(mask.all()) else mask[:, None, None, :].bool()
    for block in dit.blocks:
        block.attn2.processor.mask = bias


def normalise(vae: Any, latents: Tensor) -> Tensor:
    """(z − mean) / std with the constants of the autoencoder's own configuration, [B, z, t, h, w]."""
    mean, std = _constants(vae, latents)
    return (latents - mean) / std


def denormalise(vae: Any, latents: Tensor) -> Tensor:
    """The inverse of `normalise`."""
    mean, std = _constants(vae, latents)
    return latents * std + mean


def _constants(vae: Any, like: Tensor) -> tuple[Tensor, Tensor]:
    shape = (1, -1, 1, 1, 1)
    mean = torch.tensor(vae.config.latents_mean, device=like.device, dtype=like.dtype).view(shape)
    std = torch.tensor(vae.config.latents_std, device=like.device, dtype=like.dtype).view(shape)
    return mean, std
