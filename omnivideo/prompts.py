"""Prompts as the MLLM reads them: chat template, frames in place, left padding, the marker last."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from omnivideo.mllm import MEDIA
from omnivideo.tokens import BOI, BOV, MARKERS, end_ids

_FRAME = "<image>\n"  # VILA's spelling: one a frame, before the question

GENERATE = {"image": "Generate an image: {prompt}", "video": "Generate a video: {prompt}"}
EDIT = {"image": "Edit this image: {prompt}", "video": "Edit this video: {prompt}"}
OPENERS = {"image": BOI, "video": BOV}
REWRITE = (
    "Think step by step about what the following request for {medium} asks for: subjects, attributes, "
    "setting, motion, light and camera. Then answer with one detailed description only.\nRequest: {prompt}"
)


@dataclass(frozen=True)
class PromptBatch:
    """Token ids [B, L] (MEDIA where a frame's token goes), left-padded, and the mask [B, L] of real
    positions.
    """

    ids: Tensor
    mask: Tensor


def clean(text: str) -> str:
    """Unescape HTML, collapse white space and drop the modality markers, which only the program may write."""
    for marker in MARKERS:
        text = text.replace(marker, " ")
    return " ".join(html.unescape(html.unescape(text)).split())


def chat_ids(tokenizer: Any, content: str, frames: int = 0, tokens_per_frame: int = 0) -> list[int]:
    """Token ids of one user turn up to where the assistant speaks, `frames` frames before `content`."""
    message = [{"role": "user", "content": _FRAME * frames + content}]
    if tokenizer.chat_template:
        text = tokenizer.apply_chat_template(message, tokenize=False, add_generation_prompt=True)
    else:
        text = f"{tokenizer.bos_token or ''}USER: {message[0]['content']}\nASSISTANT: "
    first, *rest = text.split("<image>", frames)
    ids = _plain(tokenizer, first)
    for piece in rest:
        ids += [MEDIA] * tokens_per_frame + _plain(tokenizer, piece)
    return ids


def _plain(tokenizer: Any, text: str) -> list[int]:
    return list(tokenizer(text, add_special_tokens=False).input_ids)


def left_padded(rows: Sequence[Sequence[int]], pad_id: int, device: torch.device) -> PromptBatch:
    """Rows of token ids into one batch that ends at the right edge."""
    width = max(len(row) for row in rows)
    ids = torch.tensor([[pad_id] * (width - len(row)) + list(row) for row in rows], device=device)
    mask = torch.tensor([[False] * (width - len(row)) + [True] * len(row) for row in rows], device=device)
    return PromptBatch(ids, mask)


def answer_ids(tokenizer: Any, answer: str) -> list[int]:
    """Token ids of an answer with its end token; markers in it count as markers."""
    return [*_plain(tokenizer, answer), end_ids(tokenizer)[0]]
