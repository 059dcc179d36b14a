"""The adapter (sections 3.3 and 3.4): c = [v ‖ h ‖ t] into the decoder's condition space."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from torch import Tensor, nn

from omnivideo.conditioning import ConditionPlan, Grid

SPAN = 64.0  # positions from one end of a source's grid to the other


class ResidualMlp(nn.Module):
    """x + MLP(norm(x)) whose last layer starts at zero, so text passes unchanged before training.

    Wan's own text-to-video ability is then intact at step 0; the paper says only "standard random
    initialization".
    """

    def __init__(self, size: int, hidden_size: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(size)
        self.up, self.down = nn.Linear(size, hidden_size), nn.Linear(hidden_size, size)
        nn.init.zeros_(self.down.weight)
        nn.init.zeros_(self.down.bias)

    def forward(self, x: Tensor) -> Tensor:
        """[..., size] -> [..., size]."""
        update: Tensor = self.down(F.gelu(self.up(self.norm(x)), approximate="tanh"))
        return x + update


class SourceStem(nn.Module):
    """Source latents [B, z, t, h, w] -> a grid of tokens, by a convolution of kernel = stride = (1, p, p)."""

    def __init__(self, channels: int, width: int, patch: int, size: int) -> None:
        super().__init__()
        self.patch = patch
        self.conv = nn.Conv3d(channels, width, kernel_size=(1, patch, patch), stride=(1, patch, patch))
        self.out = nn.Linear(width, size)

    def forward(self, latents: Tensor, grid: Grid) -> Tensor:
        """[B, z, t, h, w] -> [B, prod(grid), size], average-pooled to `grid`, with positions in space and
        time.
        """
        rows, columns = latents.shape[-2:]
        padding = (0, -columns % self.patch, 0, -rows % self.patch, 0, 0)
        features = self.conv(F.pad(latents, padding, mode="replicate"))
        if features.shape[2:] != grid:
            features = F.adaptive_avg_pool3d(features, grid)
        tokens: Tensor = self.out(F.gelu(features.flatten(2).transpose(1, 2), approximate="tanh"))
        return tokens + grid_positions(grid, tokens)


class Adapter(ModelMixin, ConfigMixin):  # type: ignore[misc]  # diffusers ships no types
    """Projects each kind of token to `text_size`, joins them in the paper's order, then a shared residual
    trunk.
    """

    @register_to_config  # type: ignore[untyped-decorator]
    def __init__(
        self,
        vision_size: int,
        latent_channels: int,
        text_size: int,
        hidden_size: int,
        depth: int = 2,
        source_width: int = 1536,
        source_patch: int = 4,
    ) -> None:
        super().__init__()
        self.visual = nn.Sequential(nn.LayerNorm(vision_size), nn.Linear(vision_size, text_size))
        self.source = SourceStem(latent_channels, source_width, source_patch, text_size)
        self.trunk = nn.ModuleList(ResidualMlp(text_size, hidden_size) for _ in range(depth))

    def source_grid(self, latents: Tensor) -> Grid:
        """The grid of source tokens before any pooling: (t, ceil(h/p), ceil(w/p))."""
        frames, rows, columns = latents.shape[2:]
        patch = self.source.patch
        return frames, -(-rows // patch), -(-columns // patch)

    def forward(
        self,
        visual: Tensor,
        text: Tensor,
        text_mask: Tensor,
        source: Tensor | None,
        source_mask: Tensor | None,
        plan: ConditionPlan,
    ) -> tuple[Tensor, Tensor]:
        """(c [B, S, text_size], mask [B, S]) from v [B, N, Dv], t [B, L, text_size] and h's latents [B, z, t,
        h, w].

        text_mask [B, L]: padding stays exactly zero and attended, as Wan was trained; source_mask [B]:
        samples without a source get masked-out source tokens.
        """
        dtype, (batch, text_tokens) = self.dtype, text_mask.shape
        v = self.visual(_pooled(visual, plan.visual).to(dtype))
        parts, masks = [v + sequence_positions(v)], [text_mask.new_ones(v.shape[:2])]
        if source is not None:
            assert plan.source is not None
            h = self.source(source.to(dtype), plan.source)
            present = text_mask.new_ones(batch) if source_mask is None else source_mask.to(text_mask)
            parts.append(h * present.view(-1, 1, 1).to(dtype))
            masks.append(present.unsqueeze(1).expand(-1, h.shape[1]))
        c = torch.cat([*parts, text.to(dtype)], dim=1)
        for block in self.trunk:
            c = block(c)
        mask = torch.cat([*masks, text_mask.new_ones(batch, text_tokens)], dim=1)
        keep = torch.cat([*masks, text_mask], dim=1)
        return c * keep.unsqueeze(-1).to(dtype) + self._untouched(source), mask

    def _untouched(self, source: Tensor | None) -> Tensor | float:
        """Zero, tied to the source stem's weights when unused: every rank then reduces the same gradients."""
        if source is not None or not (self.training and torch.is_grad_enabled()):
            return 0.0
        return (
            sum((p.sum() for p in self.source.parameters()), start=torch.zeros((), device=self.device)) * 0.0
        )


def _pooled(tokens: Tensor, count: int) -> Tensor:
    if tokens.shape[1] == count:
        return tokens
    return F.adaptive_avg_pool1d(tokens.transpose(1, 2), count).transpose(1, 2)


def sequence_positions(like: Tensor) -> Tensor:
    """Sinusoidal positions [N, D] for tokens [B, N, D]: the decoder's cross-attention has none of its own."""
    return _sinusoid(torch.arange(like.shape[1], device=like.device), like.shape[2]).to(like.dtype)


def grid_positions(grid: Grid, like: Tensor) -> Tensor:
    """Sinusoidal positions [t·h·w, D] of a grid, a third of the channels each for frame, row and column.

    Places are shares of the clip and the frame, of SPAN: pooling moves no token, and those of a coarse grid
    differ as much as those of a fine one. Counted one by one four rows are all but alike: in steps in which a
    decoder learns to copy its source from these, it does not from those (LOG.md).
    """
    size = like.shape[-1]
    third = size // 6 * 2
    axes = [_sinusoid((torch.arange(n, device=like.device) + 0.5) * (SPAN / n), third) for n in grid]
    t, h, w = grid
    blocks = [
        axes[0].view(t, 1, 1, third).expand(t, h, w, third),
        axes[1].view(1, h, 1, third).expand(t, h, w, third),
        axes[2].view(1, 1, w, third).expand(t, h, w, third),
    ]
    positions = F.pad(torch.cat(blocks, dim=-1), (0, size - 3 * third))
    return positions.flatten(0, 2).to(like.dtype)


def _sinusoid(index: Tensor, size: int) -> Tensor:
    half = size // 2
    rates = torch.exp(-math.log(10_000.0) * torch.arange(half, device=index.device) / max(half, 1))
    angles = index.float().unsqueeze(1) * rates
    return F.pad(torch.cat([angles.sin(), angles.cos()], dim=1), (0, size - 2 * half))
