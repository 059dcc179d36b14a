"""ShareGPT4Video-40K: dense captions of videos by GPT-4V.

Released (huggingface.co/datasets/ShareGPT4Video/ShareGPT4Video): `sharegpt4video_40k.jsonl`, a line each of
{video_id, video_path, timestamp, keyframe, captions, zip_folder}; `captions` is a list of {idx, content}
whose idx "-1" is of the whole video. Videos are unpacked from the zips below `zip_folder/`, and
`video_path` begins with their origin (panda/, pexels/, ...). It has no questions: the whole video's caption
answers one. The conversations of `sharegpt4video_mix181k_vqa-153k_share-cap-28k.json` are read, too.
"""

from __future__ import annotations

from typing import Any

from curation.sources.datasets._chat import NO_CONVERSATION, SHOWN, chat, shown
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


def read(record: Record) -> Sample:
    """A video and its caption as a question and its answer. Raises RecordError."""
    if "conversations" in record:
        return chat(record)
    path = text_of(record, "video_path")
    if not path:
        raise RecordError(BAD_RECORD, "it names no 'video_path'")
    caption = _of_all(record.get("captions"))
    if not caption:
        raise RecordError(NO_CONVERSATION, "no caption of the whole video")
    turns = (Turn("human", SHOWN["video"]), Turn("gpt", caption))
    return shown("video_understanding", [Ref(path)], turns, caption)


def _of_all(captions: Any) -> str | None:
    if not isinstance(captions, list) or not all(isinstance(one, dict) for one in captions):
        raise RecordError(BAD_RECORD, "'captions' is no list of objects")
    return next((text_of(one, "content") for one in captions if str(one.get("idx")) == "-1"), None)


READER = Reader(
    task="video_understanding",
    annotations=("sharegpt4video_40k.jsonl", "sharegpt4video_*.json*", "*.jsonl"),
    licence="CC-BY-NC-4.0",
    read=read,
    folders=("", "videos", "zip_folder"),
)
