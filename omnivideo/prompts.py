"""Prompts as the MLLM reads them: chat template, frames in place, left padding, the marker last."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from omnivideo.errors import InputError
from omnivideo.tokens import BOI, BOV, MARKERS, end_ids

MEDIA = -1  # stands in token ids where a frame's feature goes; the vocabulary has no such row

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


def chat_ids(tokenizer: Any, content: str, frame_ids: Sequence[Sequence[int]] = ()) -> list[int]:
    """Token ids of one user turn up to where the assistant speaks, the frames' ids before `content`."""
    text = _turn(tokenizer, _FRAME * len(frame_ids) + content)
    first, *rest = text.split("<image>", len(frame_ids))
    ids = _plain(tokenizer, first)
    for frame, piece in zip(frame_ids, rest, strict=True):
        ids += [*frame, *_plain(tokenizer, piece)]
    return ids


def _turn(tokenizer: Any, content: str) -> str:
    if not tokenizer.chat_template:
        return f"{tokenizer.bos_token or ''}USER: {content}\nASSISTANT: "
    for form in (content, [{"type": "text", "text": content}]):  # templates know either or both
        message = [{"role": "user", "content": form}]
        text: str = tokenizer.apply_chat_template(message, tokenize=False, add_generation_prompt=True)
        if content.strip() in text:
            return text
    raise InputError("the chat template drops what the user says", "prompt", "Give the tokenizer another")


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
