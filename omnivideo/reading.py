"""What the language model is given to read: prompts with frames in their places, left-padded, with positions.

Any language model behind this package answers four calls: `look` at frames, `embed` token ids, `positions` of
token ids where they are not just counted, and `forward`. `Mllm` (VILA) and `TransformersMllm` do.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import torch
from diffusers.utils.torch_utils import get_module_execution_device
from torch import Tensor

from omnivideo.prompts import chat_ids, left_padded


class Seen(NamedTuple):
    """Frames as the language model takes them: features of all clips in order, and the token ids that stand
    for each frame of one clip, MEDIA where a feature goes.
    """

    features: Tensor
    frame_ids: list[list[int]]


class Reading(NamedTuple):
    """Embeddings [B, L, D], left-padded; mask [B, L], true at real positions; positions [..., B, L], or None
    where they are counted from the mask.
    """

    embeds: Tensor
    mask: Tensor
    positions: Tensor | None = None

    def followed_by(self, inputs: Tensor) -> Reading:
        """The same with inputs [B, N, D] after it. A reading ends in text: positions go on by ones."""
        mask = torch.cat([self.mask, self.mask.new_ones(inputs.shape[:2])], dim=1)
        positions = self.positions
        if positions is not None:
            more = torch.arange(1, inputs.shape[1] + 1, device=positions.device)
            positions = torch.cat([positions, positions[..., -1:] + more], dim=-1)
        return Reading(torch.cat([self.embeds, inputs], dim=1), mask, positions)


class LanguageModel(Protocol):
    """What the heads, the vision head's steps and the pipeline ask of a language model."""

    def look(self, frames: Tensor, tower: Any) -> Seen:
        """Features of frames [C, F, 3, H, W] in [-1, 1]; `tower` is the model's vision_tower part."""

    def embed(self, ids: Tensor, features: Tensor | None = None) -> Tensor:
        """Token ids [B, L] -> [B, L, D]; MEDIA places take the features in order."""

    def positions(self, ids: Tensor, mask: Tensor) -> Tensor | None:
        """Positions [..., B, L] of token ids, None where they are counted from the mask."""

    def __call__(
        self, embeds: Tensor, mask: Tensor, cache: Any = None, positions: Tensor | None = None
    ) -> Tensor:
        """Hidden states [B, L, D]; mask [B, past + L], or an additive one [B, 1, L, past + L]."""


def hidden_states(body: Any, embeds: Tensor, mask: Tensor, cache: Any, positions: Tensor | None) -> Tensor:
    """What a transformers decoder `body` makes of embeddings [B, L, D], see `LanguageModel`: [B, L, D]."""
    if positions is None:
        positions = (mask.long().cumsum(dim=1) - 1).clamp(min=0)[:, -embeds.shape[1] :]
    out = body(
        inputs_embeds=embeds,
        attention_mask=mask,
        position_ids=positions,
        past_key_values=cache,
        use_cache=cache is not None,
    )
    hidden: Tensor = out.last_hidden_state
    return hidden


def read(
    mllm: Any,
    tower: Any,
    tokenizer: Any,
    contents: Sequence[str],
    endings: Sequence[Sequence[int]],
    frames: Tensor | None = None,
    present: Sequence[bool] | None = None,
) -> Reading:
    """A user's turn for each of `contents`, its frames before it, the token ids `endings` after it.

    frames [B, F, 3, H, W]; `present` tells which samples have any (all by default).
    """
    has = [frames is not None and (present is None or present[i]) for i in range(len(contents))]
    seen: Seen | None = None
    if frames is not None and any(has):
        with torch.no_grad():
            which = torch.tensor([number for number, shown in enumerate(has) if shown])
            seen = mllm.look(frames[which.to(frames.device, non_blocking=True)], tower)
    rows = []
    for content, ending, shown in zip(contents, endings, has, strict=True):
        frame_ids = seen.frame_ids if shown and seen is not None else []
        rows.append([*chat_ids(tokenizer, content, frame_ids), *ending])
    batch = left_padded(rows, tokenizer.pad_token_id, get_module_execution_device(mllm))
    embeds = mllm.embed(batch.ids, None if seen is None else seen.features)
    return Reading(embeds, batch.mask, mllm.positions(batch.ids, batch.mask))
