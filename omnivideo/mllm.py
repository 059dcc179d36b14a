"""The multimodal language model (section 3.2): VILA's body and projector, and the separate text head."""

from __future__ import annotations

from typing import Any

import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from diffusers.utils.accelerate_utils import apply_forward_hook
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel

from omnivideo.prompts import MEDIA
from omnivideo.reading import Seen, hidden_states


class Merge2x2(nn.Module):
    """Four neighbouring patches into one token: [M, S², C] -> [M, ceil(S/2)², 4C], odd grids padded with
    zeros.

    Column after column, as VILA 1.5's projector orders tokens; row after row as NVILA's `2x2_fix` does
    (llava/model/multimodal_projector/base_projector.py, DownSampleBlock and DownSample2x2BlockFix).
    """

    def __init__(self, row_major: bool = False) -> None:
        super().__init__()
        self.row_major = row_major

    def forward(self, patches: Tensor) -> Tensor:
        """Merge the patches of M frames."""
        frames, count, channels = patches.shape
        side = round(count**0.5)
        odd = side % 2
        grid = nn.functional.pad(patches.view(frames, side, side, channels), (0, 0, 0, odd, 0, odd))
        half = (side + odd) // 2
        blocks = grid.view(frames, half, 2, half, 2, channels)  # M, row, in-row, column, in-column, C
        order = (0, 1, 3, 2, 4, 5) if self.row_major else (0, 3, 1, 2, 4, 5)
        return blocks.permute(order).reshape(frames, half * half, 4 * channels)


class Projector(nn.Module):
    """VILA's `mlp_downsample` or NVILA's `mlp_downsample_2x2_fix`; `layers` carries the released names (1:
    norm, 2 and 4: linear).
    """

    def __init__(self, vision_size: int, hidden_size: int, kind: str = "mlp_downsample") -> None:
        super().__init__()
        self.layers = nn.Sequential(
            Merge2x2(row_major=kind == "mlp_downsample_2x2_fix"),
            nn.LayerNorm(4 * vision_size),
            nn.Linear(4 * vision_size, hidden_size),
            nn.GELU(),
            nn.Linear(hidden_size, hidden_size),
        )

    def forward(self, patches: Tensor) -> Tensor:
        """[M, S², C] -> [M, ceil(S/2)², hidden]."""
        projected: Tensor = self.layers(patches)
        return projected


class Mllm(ModelMixin, ConfigMixin):  # type: ignore[misc]  # diffusers ships no types
    """Language-model body with input embeddings and projector; heads are parts of their own, weights untied.

    `llm` is a dict of a transformers configuration (llama or qwen2).
    """

    _supports_gradient_checkpointing = True

    @register_to_config  # type: ignore[untyped-decorator]
    def __init__(self, llm: dict[str, Any], vision_size: int, projector_kind: str = "mlp_downsample") -> None:
        super().__init__()
        self.body = AutoModel.from_config(AutoConfig.for_model(**llm))
        self.projector = Projector(vision_size, llm["hidden_size"], projector_kind)

    def enable_gradient_checkpointing(self, *_: Any) -> None:
        """Recompute the body's layers in the backward pass."""
        self.body.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})

    def look(self, frames: Tensor, tower: Any) -> Seen:
        """The tower's patches [C·F, S², C] of frames [C, F, 3, H, W]; four neighbours make one place."""
        patches = tower.features(frames.flatten(0, 1))
        places = (-(-round(patches.shape[1] ** 0.5) // 2)) ** 2
        weight = self.projector.layers[2].weight
        return Seen(patches.to(weight.dtype), [[MEDIA] * places] * frames.shape[1])

    def positions(self, ids: Tensor, mask: Tensor) -> None:
        """Counted from the mask."""

    @apply_forward_hook  # type: ignore[untyped-decorator]
    def embed(self, ids: Tensor, patches: Tensor | None = None) -> Tensor:
        """Token ids [B, L] -> embeddings [B, L, D]; MEDIA positions take, in order, the projected patches."""
        media = ids == MEDIA
        embeds: Tensor = self.body.embed_tokens(ids.masked_fill(media, 0))
        if patches is None:
            return embeds
        projected = self.projector(patches).flatten(0, 1).to(embeds.dtype)
        return embeds.masked_scatter(media.unsqueeze(-1), projected)

    def forward(
        self, embeds: Tensor, mask: Tensor, cache: Any = None, positions: Tensor | None = None
    ) -> Tensor:
        """Hidden states [B, L, D] of embeddings [B, L, D]; mask [B, past + L] is true at real positions.

        With a transformers `cache` the past is read from it and the new positions are added. With `positions`
        [B, L] given, mask may also be an additive one, [B, 1, L, past + L].
        """
        return hidden_states(self.body, embeds, mask, cache, positions)

    def resize_vocabulary(self, rows: int) -> None:
        """Grow the input embedding to `rows`; new rows start at the mean of the old."""
        self.body.resize_token_embeddings(rows, mean_resizing=False)
        old = self.config.llm["vocab_size"]
        with torch.no_grad():
            weight = self.body.embed_tokens.weight
            weight[old:] = weight[:old].float().mean(dim=0).to(weight.dtype)
        self.register_to_config(llm={**self.config.llm, "vocab_size": rows})


class TextHead(ModelMixin, ConfigMixin):  # type: ignore[misc]  # diffusers ships no types
    """Hidden states to logits over the vocabulary with its four markers: Eq. 2's head."""

    @register_to_config  # type: ignore[untyped-decorator]
    def __init__(self, hidden_size: int, vocab_size: int) -> None:
        super().__init__()
        self.lm_head = nn.Linear(hidden_size, vocab_size, bias=False)
        nn.init.normal_(self.lm_head.weight, std=0.02)

    def forward(self, hidden: Tensor) -> Tensor:
        """[B, L, D] -> [B, L, vocabulary]."""
        logits: Tensor = self.lm_head(hidden)
        return logits


def grown(weight: Tensor, rows: int) -> Tensor:
    """A copy of a vocabulary's weight [V, D] with `rows` rows, the new ones at the mean of the old.

    A copy even when nothing grows: small models tie their head to the embedding, parts must share nothing.
    """
    new = weight.float().mean(dim=0, keepdim=True).to(weight.dtype).expand(rows - len(weight), -1)
    return torch.cat([weight, new]).clone()
