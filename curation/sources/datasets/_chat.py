"""Conversations about pictures and videos, as LLaVA has them and most that came after.

A record has `conversations`, a list of {"from": "human" | "gpt", "value": text}, and the media it is about in
`image` or `video`: a path, or a list of such. Each is shown where the text says `<image>` or `<video>`; some
video datasets write `<image>` for a video, too (github.com/haotian-liu/LLaVA, docs/Finetune_Custom_Data.md).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from curation.sources.datasets._sample import BAD_RECORD, Record, RecordError, Ref, Sample, Task, Turn, whole

NO_CONVERSATION, PLACEHOLDERS, TEXT_ONLY = "no_conversation", "placeholder_count", "text_only"
PLACEHOLDER = re.compile("<image>|<video>")
SHOWN = {"image": "<image>\nDescribe this image.", "video": "<video>\nDescribe this video."}
ASKS = frozenset(("human", "user", "system"))


def chat(record: Record) -> Sample:
    """The sample of a LLaVA-style record. Raises RecordError for one that does not hold together."""
    videos, images = _media(record, "video", "videos"), _media(record, "image", "images")
    if videos and images:
        raise RecordError(BAD_RECORD, "it names images and videos")
    task: Task = "video_understanding" if videos else "image_understanding"
    turns = conversation(record.get("conversations"))
    if not videos and not images and not _shows(turns):
        return Sample(task, (), turns, refused=TEXT_ONLY)
    return shown(task, videos or images, turns)


def shown(task: Task, media: Sequence[Ref], turns: Sequence[Turn], caption: str | None = None) -> Sample:
    """A sample whose turns show all of its media once. Raises RecordError if they do not."""
    if (count := _shows(turns)) != len(media):
        what = "media" if len(media) == 1 else "media files"
        raise RecordError(PLACEHOLDERS, f"{count} placeholders for {len(media)} {what}")
    return Sample(task, tuple(media), tuple(turns), caption=caption)


def conversation(messages: Any) -> tuple[Turn, ...]:
    """Messages as released. Raises RecordError if they are none, or answer nothing."""
    if not isinstance(messages, list) or not messages:
        raise RecordError(NO_CONVERSATION, "it has no conversation")
    turns = tuple(map(_turn, messages))
    if not any(turn.content.strip() for turn in turns if turn.role not in ASKS):
        raise RecordError(NO_CONVERSATION, "nothing in its conversation is answered")
    if not any(turn.content.strip() for turn in turns if turn.role in ASKS):
        raise RecordError(NO_CONVERSATION, "nothing in its conversation is asked")
    return turns


def _turn(message: Any) -> Turn:
    if not isinstance(message, dict):
        raise RecordError(BAD_RECORD, f"a message is no object but {type(message).__name__}")
    role, content = message.get("from", message.get("role")), message.get("value", message.get("content"))
    if not isinstance(role, str) or not isinstance(content, str):
        raise RecordError(BAD_RECORD, "a message lacks the text of 'from' or 'value'")
    return Turn(whole(role), whole(content))


def _media(record: Record, *names: str) -> list[Ref]:
    value: Any = next((record[name] for name in names if record.get(name)), [])
    entries = [value] if isinstance(value, str) else value
    if not isinstance(entries, list) or not all(isinstance(one, str) and one for one in entries):
        raise RecordError(BAD_RECORD, f"{names[0]!r} is no path and no list of paths")
    return [Ref(one) for one in entries]


def _shows(turns: Sequence[Turn]) -> int:
    return sum(len(PLACEHOLDER.findall(turn.content)) for turn in turns)
