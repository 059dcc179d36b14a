"""The two frozen image encoders: the tower that the MLLM reads through, and SigLIP2, which Eq. 1 aims at.

They share an architecture, not weights: VILA tuned its tower together with its language model.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from diffusers.utils.accelerate_utils import apply_forward_hook
from torch import Tensor
from transformers import SiglipVisionConfig, SiglipVisionModel


class VisionTower(ModelMixin, ConfigMixin):  # type: ignore[misc]  # diffusers ships no types
    """`understanding` feeds the MLLM's projector, `target` gives the E of Eq. 1.

    Both configurations are dicts of SiglipVisionConfig; frames are [M, 3, H, W] in [-1, 1] at any size. A
    language model that has a tower of its own leaves `understanding` out.
    """

    @register_to_config  # type: ignore[untyped-decorator]
    def __init__(
        self,
        understanding_config: dict[str, Any] | None,
        target_config: dict[str, Any],
        select_layer: int = -2,
    ) -> None:
        super().__init__()
        self.understanding: Any = None
        if understanding_config is not None:
            self.understanding = _tower(understanding_config)
        self.target = _tower(target_config)
        self.select_layer = select_layer

    @apply_forward_hook  # type: ignore[untyped-decorator]
    def features(self, frames: Tensor) -> Tensor:
        """[M, 3, H, W] -> [M, patches, hidden] of the understanding tower's selected layer, as VILA reads
        it.
        """
        out = self.understanding(_resized(frames, self.understanding), output_hidden_states=True)
        selected: Tensor = out.hidden_states[self.select_layer]
        return selected

    @apply_forward_hook  # type: ignore[untyped-decorator]
    def targets(self, frames: Tensor, tokens_per_frame: int) -> Tensor:
        """[M, 3, H, W] -> [M, tokens_per_frame, hidden]: SigLIP2's last state, its grid average-pooled."""
        states = self.target(_resized(frames, self.target)).last_hidden_state
        side, pooled = round(states.shape[1] ** 0.5), round(tokens_per_frame**0.5)
        grid = states.transpose(1, 2).unflatten(2, (side, side))
        return F.adaptive_avg_pool2d(grid, pooled).flatten(2).transpose(1, 2)


def _tower(fields: dict[str, Any]) -> Any:
    # The pooling head is left out: nothing here reads the pooled embedding.
    return SiglipVisionModel(SiglipVisionConfig(**{**fields, "vision_use_head": False}))


def _resized(frames: Tensor, tower: Any) -> Tensor:
    size = tower.config.image_size
    dtype = tower.embeddings.patch_embedding.weight.dtype
    if frames.shape[-2:] != (size, size):
        frames = F.interpolate(
            frames.float(), size=(size, size), mode="bicubic", align_corners=False, antialias=True
        ).clamp(-1, 1)
    return frames.to(dtype)


def evenly_spaced(frames: Tensor, count: int) -> Tensor:
    """[B, F, 3, H, W] -> the `count` frames nearest to evenly spaced, first and last included; all if
    fewer.
    """
    total = frames.shape[1]
    if total <= count:
        return frames
    index = torch.linspace(0, total - 1, count, device=frames.device).round().long()
    return frames[:, index]
