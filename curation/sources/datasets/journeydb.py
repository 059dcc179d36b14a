"""JourneyDB: Midjourney's images with prompts, captions and questions.

Released (huggingface.co/datasets/JourneyDB/JourneyDB), below data/:
`train/train_anno_realease_repath.jsonl` and `valid/valid_anno_repath.jsonl`, a line each of {img_path,
prompt, Task1, Task2, Task3}; `img_path` is relative to `imgs/` beside them, which the archives 000.tgz to
199.tgz unpack to. Task2 has a `Caption`; Task3 has "Style Relevant Questions and Answers" and "Content
Relevant Questions and Answers", lists of {Question, Options, Answer}. Caption and questions make one
conversation; `prompt` is kept as the original caption.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from curation.sources.datasets._chat import NO_CONVERSATION, SHOWN, shown
from curation.sources.datasets._sample import (
    BAD_RECORD,
    Reader,
    Record,
    RecordError,
    Ref,
    Sample,
    Turn,
    text_of,
)

ASIDE = "<image>\n"


def read(record: Record) -> Sample:
    """The conversation about one image. Raises RecordError."""
    path = text_of(record, "img_path")
    if not path:
        raise RecordError(BAD_RECORD, "it names no 'img_path'")
    caption = text_of(_part(record, "Task2"), "Caption")
    asked = [(SHOWN["image"].removeprefix(ASIDE), caption)] if caption else []
    asked += [one for list_of in _part(record, "Task3").values() for one in _questions(list_of)]
    if not asked:
        raise RecordError(NO_CONVERSATION, "neither a caption nor a question with its answer")
    turns = [Turn(role, said) for pair in asked for role, said in zip(("human", "gpt"), pair, strict=True)]
    turns[0] = Turn("human", ASIDE + turns[0].content)
    prompt = text_of(record, "prompt") or text_of(_part(record, "Task1"), "Prompt")
    return shown("image_understanding", [Ref(path)], turns, prompt)


def _part(record: Record, name: str) -> Record:
    found = record.get(name)
    return found if isinstance(found, dict) else {}


def _questions(found: Any) -> Iterator[tuple[str, str]]:
    """Questions with their options, and the answers in full."""
    for one in found if isinstance(found, list) else []:
        if not isinstance(one, dict):
            raise RecordError(BAD_RECORD, "a question is no object")
        question, answer, options = text_of(one, "Question"), text_of(one, "Answer"), one.get("Options")
        if not question or not answer:
            continue
        named = options.items() if isinstance(options, dict) else ()
        choices = {str(letter): str(choice) for letter, choice in named}
        plain = [str(choice) for choice in options] if isinstance(options, list) else []
        listed = "".join(f"\n{one}" for one in (*plain, *map(". ".join, choices.items())))
        letter = answer.rstrip(".")
        yield question + listed, f"{letter}. {choices[letter]}" if letter in choices else answer


READER = Reader(
    task="image_understanding",
    annotations=(  # those without repath name the same images where nobody else has them
        *("data/*/*_anno*repath.jsonl", "*/*_anno*repath.jsonl", "*_anno*repath.jsonl"),
        *("{data/*/*_anno*.jsonl,*/*_anno*.jsonl,*_anno*.jsonl}", "*.jsonl"),
    ),
    licence="JourneyDB terms: non-commercial research",
    read=read,
    folders=("", "imgs"),
)
