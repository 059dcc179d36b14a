"""CLIP models and LAION heads of random weights, saved as the released ones are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

V2_WIDTHS = (1024, 128, 64, 16, 1)


def save_clip(folder: Path, width: int = 768, vision_only: bool = False) -> Path:
    """Two small layers, 28-pixel pictures, embeddings of `width`; and a text tower unless `vision_only`."""
    import torch
    from transformers import CLIPConfig, CLIPModel, CLIPVisionModelWithProjection

    size = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = CLIPConfig(
        vision_config={**size, "image_size": 28, "patch_size": 14, "projection_dim": width},
        text_config={**size, "vocab_size": 99, "projection_dim": width},
        projection_dim=width,
    )
    torch.manual_seed(0)
    if vision_only:
        CLIPVisionModelWithProjection(config.vision_config).save_pretrained(folder)
    else:
        CLIPModel(config).save_pretrained(folder)
    return folder


def head(version: str, width: int = 768) -> Any:
    """LAION's module, with ratings around five: v1 is one linear layer, v2 five with dropout between."""
    import torch
    from torch import nn

    torch.manual_seed(1)
    if version == "v1":
        found: Any = nn.Linear(width, 1)
        last = found
    else:
        a, b, c, d, e = V2_WIDTHS
        found = nn.Module()
        found.layers = nn.Sequential(
            *(nn.Linear(width, a), nn.Dropout(0.2), nn.Linear(a, b), nn.Dropout(0.2), nn.Linear(b, c)),
            *(nn.Dropout(0.1), nn.Linear(c, d), nn.Linear(d, e)),
        )
        last = found.layers[-1]
    nn.init.constant_(last.bias, 5.0)
    nn.init.normal_(last.weight, std=4.0)
    return found.eval()


def save_head(path: Path, module: Any) -> Path:
    """Its state dict, as safetensors or as torch saves it."""
    import torch
    from safetensors.torch import save_file

    if path.suffix == ".safetensors":
        save_file(module.state_dict(), path)
    else:
        torch.save(module.state_dict(), path)
    return path
