"""What the tests of backbones share."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from diffusers import AutoencoderKLWan


@pytest.fixture
def vae() -> Any:
    """Wan's autoencoder, small, with random weights."""
    torch.manual_seed(0)
    return AutoencoderKLWan(
        base_dim=8,
        dim_mult=[1, 2, 2],
        num_res_blocks=1,
        temperal_downsample=[True, True],
        patch_size=2,
        in_channels=12,
        out_channels=12,
    )
