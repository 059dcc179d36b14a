"""Any image-text-to-text model of transformers as the language model: its own tower, projector and body.

Frames go in as the model's own code takes them: LLaVA-OneVision as a video, Qwen2-VL and Qwen2.5-VL as images
on their merged grid with three-axis positions, any other as images through its `get_image_features`.
"""

from __future__ import annotations

import json
from typing import Any

import torch
import torch.nn.functional as F
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from diffusers.utils.accelerate_utils import apply_forward_hook
from torch import Tensor
from transformers import AutoConfig, AutoModel

from omnivideo.prompts import MEDIA
from omnivideo.reading import Seen, hidden_states

_OPENERS = ("vision_start_token_id", "boi_token_id", "boi_token_index")
_CLOSERS = ("vision_end_token_id", "eoi_token_id", "eoi_token_index")


class TransformersMllm(ModelMixin, ConfigMixin):  # type: ignore[misc]  # diffusers ships no types
    """`model` is the dict of a transformers configuration; frames are shown at `image_size` pixels a side,
    normalised by `image_mean` and `image_std`.
    """

    _supports_gradient_checkpointing = True

    @register_to_config  # type: ignore[untyped-decorator]
    def __init__(
        self, model: dict[str, Any], image_size: int, image_mean: list[float], image_std: list[float]
    ) -> None:
        super().__init__()
        self.body = AutoModel.from_config(AutoConfig.for_model(**model))

    def enable_gradient_checkpointing(self, *_: Any) -> None:
        """Recompute the layers in the backward pass."""
        self.body.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})

    @apply_forward_hook  # type: ignore[untyped-decorator]
    def look(self, frames: Tensor, tower: Any = None) -> Seen:
        """Projected features of frames [C, F, 3, H, W] in [-1, 1], through the model's own tower."""
        clips, count = frames.shape[:2]
        pixels = self._pixels(frames.flatten(0, 1))
        if hasattr(self.body, "get_rope_index"):
            features = self._from_patches(pixels)
        elif hasattr(self.body, "apply_pooling"):
            return self._from_video(pixels.reshape(clips, count, *pixels.shape[1:]))
        else:
            seen = self.body.get_image_features(pixel_values=pixels, return_dict=True).pooler_output
            features = seen if isinstance(seen, Tensor) else torch.stack(list(seen))
        ids = [*self._special(_OPENERS), *[MEDIA] * features.shape[1], *self._special(_CLOSERS)]
        return Seen(features.flatten(0, 1), [ids] * count)

    def _pixels(self, frames: Tensor) -> Tensor:
        size, dtype = self.config.image_size, self.body.get_input_embeddings().weight.dtype
        if frames.shape[-2:] != (size, size):
            fitted = F.interpolate(
                frames.float(), (size, size), mode="bicubic", align_corners=False, antialias=True
            )
            frames = fitted.clamp(-1, 1)
        mean, std = (frames.new_tensor(self.config[k]).view(3, 1, 1) for k in ("image_mean", "image_std"))
        return (((frames + 1) / 2 - mean) / std).to(dtype)

    def _from_video(self, clips: Tensor) -> Seen:
        """LLaVA-OneVision: frames pooled two by two, a newline after the last."""
        seen = self.body.get_video_features(clips, return_dict=True).pooler_output
        places = (seen.shape[1] - 1) // clips.shape[1]
        frames = [[MEDIA] * places for _ in range(clips.shape[1])]
        frames[-1].append(MEDIA)
        return Seen(seen.flatten(0, 1), frames)

    def _from_patches(self, pixels: Tensor) -> Tensor:
        """Qwen2-VL and Qwen2.5-VL: a frame doubled in time, patches in the order in which they merge."""
        vision, rows = self.body.config.vision_config, self._grid * self._merge
        frames, channels = pixels.shape[:2]
        doubled = pixels.unsqueeze(1).expand(-1, vision.temporal_patch_size, -1, -1, -1)
        blocks = doubled.reshape(
            frames,
            vision.temporal_patch_size,
            channels,
            self._grid,
            self._merge,
            vision.patch_size,
            self._grid,
            self._merge,
            vision.patch_size,
        )
        flat = blocks.permute(0, 3, 6, 4, 7, 2, 1, 5, 8).reshape(frames * rows * rows, -1)
        grid = torch.tensor([[1, rows, rows]] * frames, device=pixels.device)
        seen = self.body.get_image_features(flat, image_grid_thw=grid, return_dict=True).pooler_output
        return torch.stack(list(seen))

    @property
    def _merge(self) -> int:
        merge: int = self.body.config.vision_config.spatial_merge_size
        return merge

    @property
    def _grid(self) -> int:
        side: int = self.config.image_size // (self.body.config.vision_config.patch_size * self._merge)
        return side

    def _special(self, names: tuple[str, ...]) -> list[int]:
        found = (getattr(self.body.config, name, None) for name in names)
        return [token for token in found if token is not None][:1]

    @apply_forward_hook  # type: ignore[untyped-decorator]
    def embed(self, ids: Tensor, features: Tensor | None = None) -> Tensor:
        """Token ids [B, L] -> embeddings [B, L, D]; MEDIA places take the features in order."""
        media = ids == MEDIA
        embeds: Tensor = self.body.get_input_embeddings()(ids.masked_fill(media, 0))
        if features is None:
            return embeds
        return embeds.masked_scatter(media.unsqueeze(-1), features.to(embeds.dtype))

    def positions(self, ids: Tensor, mask: Tensor) -> Tensor | None:
        """Three axes [3, B, L] (time, row, column) where the model has them and there are frames."""
        if not hasattr(self.body, "get_rope_index") or not (ids == MEDIA).any():
            return None
        rows = [grid_positions(row.tolist(), self._grid) for row in (ids.masked_fill(~mask, 0) == MEDIA)]
        counted = torch.tensor(rows, device=ids.device).permute(2, 0, 1)
        padding = (~mask).sum(dim=1, keepdim=True)
        return (counted - padding).clamp(min=0)

    def forward(
        self, embeds: Tensor, mask: Tensor, cache: Any = None, positions: Tensor | None = None
    ) -> Tensor:
        """Hidden states [B, L, D]; see `omnivideo.reading.LanguageModel`."""
        return hidden_states(self.body.language_model, embeds, mask, cache, positions)

    def resize_vocabulary(self, rows: int) -> None:
        """Grow the input embedding to `rows`; new rows start at the mean of the old."""
        old = self.body.get_input_embeddings().weight.shape[0]
        self.body.resize_token_embeddings(rows, mean_resizing=False)
        with torch.no_grad():
            weight = self.body.get_input_embeddings().weight
            weight[old:] = weight[:old].float().mean(dim=0).to(weight.dtype)
        self.register_to_config(model=plain_config(self.body.config))


def plain_config(config: Any) -> dict[str, Any]:
    """A transformers configuration in JSON's own types."""
    fields: dict[str, Any] = json.loads(config.to_json_string(use_diff=False))
    return {key: value for key, value in fields.items() if key not in {"architectures", "_name_or_path"}}


def grid_positions(media: list[bool], grid: int) -> list[tuple[int, int, int]]:
    """Qwen's positions of a row of places, true where a frame's are: text counts on; a frame of grid × grid
    places shares one time and spreads over rows and columns, and what follows goes on after its side.
    """
    positions, now, place = [], 0, 0
    for is_media in media:
        if not is_media:
            positions.append((now, now, now))
            now += 1
            continue
        positions.append((now, now + place // grid, now + place % grid))
        place += 1
        if place == grid * grid:
            now, place = now + grid, 0
    return positions
