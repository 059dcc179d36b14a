"""Flow matching as in Eq. 4, and the one place where it meets Wan's convention.

The paper's time runs from noise (t=0, X_0) to data (t=1, X_1) and its target is V_t = X_1 − X_0. Wan and its
scheduler count noise instead: σ = 1 − t, timestep 1000·σ, and predict X_0 − X_1.
"""

from __future__ import annotations

import torch
from torch import Tensor

from omnivideo.config import TimeDistribution

TRAIN_TIMESTEPS = 1000  # Wan2.1's scale of the timestep embedding


def sample_time(
    shape: tuple[int, ...],
    generator: torch.Generator | None = None,
    shift: float = 1.0,
    distribution: TimeDistribution = "uniform",
) -> Tensor:
    """Draw times t in [0, 1], float32 on the generator's device.

    `shift` is the flow shift s: σ becomes s·σ / (1 + (s−1)·σ), so s > 1 draws noisier times (t nearer 0).
    """
    device = generator.device if generator is not None else None
    return time_of(torch.rand(shape, generator=generator, device=device), shift, distribution)


def time_of(even: Tensor, shift: float = 1.0, distribution: TimeDistribution = "uniform") -> Tensor:
    """Turn numbers drawn evenly from [0, 1) into times as `sample_time` draws them.

    Logit-normal noise levels are seldom near either end (Esser et al., Stable Diffusion 3, arXiv:2403.03206,
    section 3.1): more of the samples lie where it is settled what goes where.
    """
    sigma = 1 - even
    if distribution == "logit_normal":
        sigma = torch.sigmoid(torch.special.ndtri(sigma))
    return 1 - shift_sigma(sigma, shift)


def shift_sigma(sigma: Tensor, shift: float) -> Tensor:
    """Push noise levels in [0, 1] towards 1 by the flow shift; 1.0 leaves them."""
    return shift * sigma / (1 + (shift - 1) * sigma)


def interpolate(x1: Tensor, x0: Tensor, t: Tensor) -> Tensor:
    """X_t = t·X_1 + (1−t)·X_0 for data x1 and noise x0 [B, ...] and times t [B]."""
    t = t.to(x1.device, x1.dtype).view(-1, *[1] * (x1.ndim - 1))
    return t * x1 + (1 - t) * x0


def velocity_target(x1: Tensor, x0: Tensor) -> Tensor:
    """V_t of Eq. 4: X_1 − X_0, the same at every t."""
    return x1 - x0


def wan_timestep(t: Tensor) -> Tensor:
    """The timestep that Wan's transformer expects for the paper's time t."""
    return (1 - t) * TRAIN_TIMESTEPS
