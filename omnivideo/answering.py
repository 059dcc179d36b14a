"""Answers in text (section 5.1): what the MLLM writes about a question, as text that is safe to print."""

from __future__ import annotations

import torch
from torch import Tensor

from omnivideo.model import OmniVideoModel
from omnivideo.tokens import MARKERS, end_ids, marker_id
from omnivideo.writing import write


def answer(
    model: OmniVideoModel,
    questions: list[str],
    clips: Tensor | None = None,
    generator: torch.Generator | None = None,
    max_new_tokens: int | None = None,
    temperature: float | None = None,
    top_p: float | None = None,
) -> list[str]:
    """Sample one answer a question about clips [B, F, 3, H, W]; what is left out comes from the
    configuration.
    """
    defaults, tokenizer = model.config.generation, model.tokenizer
    answers = write(
        model.mllm,
        model.text_head,
        model.question_prompt(questions, clips),
        end_ids(tokenizer),
        banned=tuple(marker_id(tokenizer, marker) for marker in MARKERS),
        max_new_tokens=defaults.max_new_tokens if max_new_tokens is None else max_new_tokens,
        temperature=defaults.temperature if temperature is None else temperature,
        top_p=defaults.top_p if top_p is None else top_p,
        generator=generator,
    )
    return [_printable(tokenizer.decode(ids, skip_special_tokens=True)) for ids in answers]


def _printable(text: str) -> str:
    """Without control characters, for what a model wrote may end in a terminal, nor blanks around it."""
    return "".join(one for one in text if one.isprintable() or one in "\n\t").strip()
