"""Prompts as the MLLM reads them: chat template, frames in place, left padding, the marker last."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from typing import Any

import numpy as np
import torch
from torch import Tensor

from omnivideo.errors import InputError
from omnivideo.remembering import MOST, remembered
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


@lru_cache(MOST)
def clean(text: str) -> str:
    """Unescape HTML, collapse white space and drop the modality markers, which only the program may write."""
    for marker in MARKERS:
        text = text.replace(marker, " ")
    return " ".join(html.unescape(html.unescape(text)).split())


def chat_ids(tokenizer: Any, content: str, frame_ids: Sequence[Sequence[int]] = ()) -> list[int]:
    """Token ids of one user turn up to where the assistant speaks, the frames' ids before `content`."""
    first, *rest = _pieces(tokenizer, content, len(frame_ids))
    ids = list(first)
    for frame, piece in zip(frame_ids, rest, strict=True):
        ids += [*frame, *piece]
    return ids


@remembered
def _pieces(tokenizer: Any, content: str, frames: int) -> list[list[int]]:
    """Token ids of a turn's text, cut where each of its frames goes."""
    text = _turn(tokenizer, _FRAME * frames + content)
    return [_plain(tokenizer, piece) for piece in text.split("<image>", frames)]


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
    lengths = np.fromiter(map(len, rows), np.int64, len(rows))
    width = int(lengths.max())
    mask = np.arange(width) >= (width - lengths)[:, None]
    ids = np.full(mask.shape, pad_id, np.int64)
    ids[mask] = np.fromiter(chain.from_iterable(rows), np.int64, int(lengths.sum()))
    there = [torch.from_numpy(array).to(device, non_blocking=True) for array in (ids, mask)]
    return PromptBatch(*there)


@remembered
def answer_ids(tokenizer: Any, answer: str) -> list[int]:
    """Token ids of an answer with its end token; markers in it count as markers."""
    return [*_plain(tokenizer, answer), end_ids(tokenizer)[0]]
