"""Image embeddings of a CLIP model from a folder, or from what has been downloaded from the hub.

Radford et al. 2021, arXiv:2103.00020, through transformers. Safetensors only, no code from a repository, in
float32 on whatever device there is, so that scores do not depend on the machine.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from curation.errors import InputError
from curation.weights import folder_digest, in_hub_cache, is_path

# Of the pixels that CLIP was trained on, as in its processor.
MEAN = (0.48145466, 0.4578275, 0.40821073)
DEVIATION = (0.26862954, 0.26130258, 0.27577711)
BATCH = 32  # frames in one pass


def embed(folder: Path, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
    """[T,D] embeddings of unit length of RGB frames [T,H,W,3]. Raises InputError if it is no CLIP model."""
    import torch

    model = _model(folder)
    pixels = prepared(frames, model.config.image_size)
    with torch.inference_mode():
        found = [
            model(pixel_values=torch.from_numpy(pixels[start : start + BATCH]).to(model.device)).image_embeds
            for start in range(0, len(pixels), BATCH)
        ]
        embeddings = torch.cat(found)
        unit: NDArray[np.float32] = (embeddings / embeddings.norm(dim=-1, keepdim=True)).cpu().numpy()
    return unit


def prepared(frames: NDArray[np.uint8], side: int) -> NDArray[np.float32]:
    """[T,3,side,side]: shorter side to `side` by bicubic resampling, the middle, normalised."""
    from PIL import Image

    height, width = frames.shape[1:3]
    short = min(height, width)
    size = side * width // short, side * height // short  # rounded down, as CLIP's processor does
    left, top = (size[0] - side) // 2, (size[1] - side) // 2
    middle = [
        np.asarray(Image.fromarray(frame).resize(size, Image.Resampling.BICUBIC))[top:, left:][:side, :side]
        for frame in frames
    ]
    unit = np.stack(middle).astype(np.float32) / 255
    normal = (unit - np.array(MEAN, np.float32)) / np.array(DEVIATION, np.float32)
    return np.ascontiguousarray(normal.transpose(0, 3, 1, 2))


def find_folder(model: str) -> Path | None:
    """The folder of a model's files on this machine, of a path or of a hub id; None if it has no weights."""
    config = Path(model) / "config.json" if is_path(model) else in_hub_cache(model, "config.json")
    folder = config.parent if config and config.is_file() else None
    return folder if folder and any(folder.glob("*.safetensors")) else None


def revision(model: str, folder: Path) -> str:
    """A hub id with its commit, or the digest of a folder."""
    return f"CLIP {folder_digest(folder)}" if is_path(model) else f"{model}@{folder.name}"


def width_of(folder: Path) -> int:
    """Dimension of the embeddings, by the model's configuration."""
    config = json.loads((folder / "config.json").read_text())
    return int(config.get("vision_config", config).get("projection_dim", 512))


@cache
def _model(folder: Path) -> Any:
    """Loaded once a process. Weights that are not in the files would be random: that is an error."""
    import torch
    from transformers import CLIPVisionModelWithProjection

    try:
        model, told = CLIPVisionModelWithProjection.from_pretrained(
            folder, dtype=torch.float32, use_safetensors=True, local_files_only=True, output_loading_info=True
        )
    except (OSError, ValueError, RuntimeError, KeyError) as error:
        said = f"{type(error).__name__}: {error}".splitlines()[0]
        raise _not_clip(folder, said) from error
    if told["missing_keys"]:
        raise _not_clip(folder, f"it lacks {sorted(told['missing_keys'])[0]}")
    return model.to("cuda" if torch.cuda.is_available() else "cpu").eval()


def _not_clip(folder: Path, said: str) -> InputError:
    what = f"{folder} cannot be loaded as a CLIP model: {said}"
    return InputError(what, "filters", "give the folder of a CLIP model with its safetensors")
