"""A trained watermark classifier: any image-classification model of transformers with a label for it."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from curation.errors import InputError

LABEL = "watermark"  # part of the label's name; a label that also says "no" or "clean" is the other one
OPPOSITES = ("no", "non", "not", "without", "clean", "free")


def probability(weights: str, pictures: NDArray[np.uint8]) -> float:
    """Mean probability, 0 to 1, that [T,H,W,3] RGB pictures bear a watermark.

    `weights` is a folder or a hub id with `config.json`, `preprocessor_config.json` and safetensors.
    Raises InputError if it cannot be loaded or has no label for watermarks.
    """
    import torch

    model, processor, index = _loaded(weights)
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


@cache
def _loaded(weights: str) -> tuple[Any, Any, int]:
    from transformers import AutoImageProcessor, AutoModelForImageClassification

    try:
        model = AutoModelForImageClassification.from_pretrained(weights, use_safetensors=True).eval()
        processor = AutoImageProcessor.from_pretrained(weights)
    except (OSError, ValueError) as error:
        raise InputError(
            f"watermark: {weights} does not load: {str(error).splitlines()[0]}",
            "filters",
            "give `weights` a folder or hub id of an image-classification model with safetensors",
        ) from error
    labels = {int(index): str(name) for index, name in model.config.id2label.items()}
    index = label_index(labels)
    if index is None:
        raise InputError(
            f"watermark: no label of {weights} stands for watermarks ({', '.join(labels.values())})",
            "filters",
            "name one class of its id2label 'watermark'",
        )
    return model, processor, index
