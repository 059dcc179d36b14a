"""A trained watermark classifier: any image-classification model of transformers with a label for it."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from curation.clip import find_folder
from curation.errors import InputError
from curation.weights import folder_digest, is_path

STEP = "filters"
LABEL = "watermark"  # part of the label's name; a label that also says "no" or "clean" is the other one
OPPOSITES = ("no", "non", "not", "without", "clean", "free")


def probability(weights: str, pictures: NDArray[np.uint8]) -> float:
    """Mean probability, 0 to 1, that [T,H,W,3] RGB pictures bear a watermark.

    `weights` is as in `found`.
    """
    import torch

    folder, index = found(weights)
    model, processor = _loaded(folder)
    inputs = processor(images=list(pictures), return_tensors="pt")
    with torch.inference_mode():
        shares = model(**inputs).logits.float().softmax(dim=-1)
    return float(shares[:, index].mean())


def label_index(labels: dict[int, str]) -> int | None:
    """The class that stands for watermarks, by name; None if there is none."""
    words = {
        index: name.lower().replace("-", " ").replace("_", " ").split() for index, name in labels.items()
    }
    named = [
        index
        for index, said in words.items()
        if any(LABEL in word for word in said) and not any(word in OPPOSITES for word in said)
    ]
    return named[0] if len(named) == 1 else None


def revision(weights: str) -> str:
    """Which weights these are. Raises InputError as `found` does."""
    folder, _ = found(weights)
    named = f"classifier {folder_digest(folder)}" if is_path(weights) else f"{weights}@{folder.name}"
    return named


def found(weights: str) -> tuple[Path, int]:
    """The folder of a model, of a path or of a hub id that has been downloaded, and its class for watermarks.

    Raises InputError if there are no safetensors or no such label in it.
    """
    folder = find_folder(weights)
    if folder is None:
        raise InputError(
            f"watermark: no config.json with safetensors in {weights}",
            STEP,
            "give `weights` the folder or hub id of an image-classification model that is on this machine",
        )
    said = json.loads((folder / "config.json").read_text()).get("id2label", {})
    labels = {int(index): str(name) for index, name in said.items()}
    index = label_index(labels)
    if index is None:
        raise InputError(
            f"watermark: no label of {weights} stands for watermarks ({', '.join(labels.values())})",
            STEP,
            "name one class of its id2label 'watermark'",
        )
    return folder, index


@cache
def _loaded(folder: Path) -> tuple[Any, Any]:
    from transformers import AutoImageProcessor, AutoModelForImageClassification

    try:
        model = AutoModelForImageClassification.from_pretrained(folder, use_safetensors=True).eval()
        return model, AutoImageProcessor.from_pretrained(folder)
    except (OSError, ValueError) as error:
        raise InputError(
            f"watermark: {folder} does not load: {str(error).splitlines()[0]}",
            STEP,
            "give `weights` an image-classification model with its preprocessor_config.json",
        ) from error
