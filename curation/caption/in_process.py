"""Captions from a model in this process: anything that transformers loads as image-text-to-text.

LLaVA, LLaVA-OneVision, Qwen-VL, SmolVLM, InternVL and their like: the processor's own chat template, the
frames as images. No code from a model's repository runs, and no weights but safetensors are read.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from curation.caption.asking import Ask, Failure
from curation.caption.config import CaptionConfig, TransformersConfig
from curation.caption.prompt import CLOSE, OPEN, SYSTEM
from curation.caption.weights import revision_of
from curation.errors import InputError

STEP = "captioning"


class InProcess:
    """A model and its processor, on the GPU if the worker has one."""

    def __init__(self, config: CaptionConfig) -> None:
        assert config.transformers is not None
        import torch

        self._config = config.transformers
        self._processor, self._model = _load(self._config)
        self._model.to("cuda" if torch.cuda.is_available() else "cpu").eval()
        self.name = config.signed(self._config.model, revision_of(self._config))

    def answer(self, asks: Sequence[Ask]) -> list[str | Failure]:
        """Texts, in order; windows of the same temperature and number of frames go in one pass."""
        found: dict[int, str] = {}
        for some in _batches(asks, self._config.batch_size):
            found |= dict(zip(some, self._generate([asks[index] for index in some]), strict=True))
        return [found[index] for index in range(len(asks))]

    def _generate(self, asks: list[Ask]) -> list[str]:
        import torch

        inputs = self._processor.apply_chat_template(
            [_conversation(ask) for ask in asks],
            add_generation_prompt=True,
            tokenize=True,
            return_dict=True,
            return_tensors="pt",
            processor_kwargs={"padding": True, "padding_side": "left"},
        ).to(self._model.device, dtype=self._model.dtype)
        torch.manual_seed(asks[0].seed)
        warm = asks[0].temperature > 0
        sampling = {"do_sample": True, "temperature": asks[0].temperature} if warm else {"do_sample": False}
        with torch.inference_mode():
            tokens = self._model.generate(**inputs, max_new_tokens=self._config.max_new_tokens, **sampling)
        new = tokens[:, inputs["input_ids"].shape[1] :]
        texts: list[str] = self._processor.batch_decode(new, skip_special_tokens=True)
        return texts


def _load(config: TransformersConfig) -> tuple[Any, Any]:
    """Processor and model. Raises InputError if they are not there or not of this kind."""
    from transformers import AutoModelForImageTextToText, AutoProcessor

    if config.model.startswith("/") and not Path(config.model).is_dir():
        raise InputError(f"there is no folder {config.model}", STEP, "check caption.transformers.model")
    place = {"revision": config.revision, "trust_remote_code": False}
    try:
        processor = AutoProcessor.from_pretrained(config.model, **place)
        model = AutoModelForImageTextToText.from_pretrained(
            config.model, dtype=config.dtype, use_safetensors=True, **place
        )
    except (OSError, ValueError, ImportError, KeyError) as error:
        said = f"{type(error).__name__}: {error}".strip().splitlines()[0]
        raise InputError(
            f"{config.model} cannot be loaded: {said}",
            STEP,
            "give a model that transformers loads as image-text-to-text, with safetensors "
            "(some processors need torchvision)",
        ) from error
    if not getattr(processor, "chat_template", None):
        raise InputError(f"{config.model} has no chat template", STEP, "give an instruction-tuned model")
    return processor, model


def _batches(asks: Sequence[Ask], size: int) -> Iterator[list[int]]:
    groups: dict[tuple[float, int], list[int]] = {}
    for index, ask in enumerate(asks):
        groups.setdefault((ask.temperature, len(ask.frames)), []).append(index)
    for group in groups.values():
        yield from (group[start : start + size] for start in range(0, len(group), size))


def _conversation(ask: Ask) -> list[dict[str, Any]]:
    from PIL import Image

    images = [
        {"type": "image", "image": Image.open(io.BytesIO(frame), formats=["JPEG"])} for frame in ask.frames
    ]
    content = [_said(OPEN), *images, _said(CLOSE), _said(ask.prompt)]
    return [{"role": "system", "content": [_said(SYSTEM)]}, {"role": "user", "content": content}]


def _said(text: str) -> dict[str, str]:
    return {"type": "text", "text": text}
