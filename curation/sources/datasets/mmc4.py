"""MMC4: documents of the web with images between their sentences.

Released (github.com/allenai/mmc4): `docs_no_face_shard_N_v2.jsonl.zip`, unzipped or not (core: `_v3`; others:
`docs_shard_N_...`), a line each of {url, text_list, image_info, similarity_matrix}; an image of
`image_info` has image_name, raw_url, matched_text_index, matched_sim. Images are not released: they are
looked for by `image_name` below images/, and downloaded from `raw_url` where the source allows it. Unzip
the shards first.

An image stands before the sentence that it is matched to. What leads up to an image, and the image, ask;
what follows, up to the next one, answers: so each text after an image is learned with it in sight.
"""

from __future__ import annotations

from typing import Any

from curation.sources.datasets._chat import NO_CONVERSATION, TEXT_ONLY, shown
from curation.sources.datasets._sample import (
    BAD_RECORD,
    Reader,
    Record,
    RecordError,
    Ref,
    Sample,
    Turn,
    text_of,
    whole,
)


def read(record: Record) -> Sample:
    """A document as a conversation. Raises RecordError."""
    said, images = record.get("text_list"), record.get("image_info")
    if not isinstance(said, list) or not all(isinstance(one, str) for one in said):
        raise RecordError(BAD_RECORD, "'text_list' is no list of texts")
    if not isinstance(images, list) or not all(isinstance(one, dict) for one in images):
        raise RecordError(BAD_RECORD, "'image_info' is no list of objects")
    if not images:
        return Sample("image_understanding", (), refused=TEXT_ONLY)
    if not any(one.strip() for one in said):
        raise RecordError(NO_CONVERSATION, "a document without text")
    placed = sorted(((_place(one, len(said)), one) for one in images), key=lambda pair: pair[0])
    refs = [Ref(_name(one), text_of(one, "raw_url")) for _, one in placed]
    return shown("image_understanding", refs, _turns(said, [place for place, _ in placed]))


def _place(image: Record, sentences: int) -> int:
    place: Any = image.get("matched_text_index")
    if not isinstance(place, int) or not 0 <= place < sentences:
        raise RecordError(BAD_RECORD, f"an image is matched to sentence {place!r} of {sentences}")
    return place


def _name(image: Record) -> str:
    name = text_of(image, "image_name")
    if not name:
        raise RecordError(BAD_RECORD, "an image has no 'image_name'")
    return name


def _turns(said: list[str], places: list[int]) -> list[Turn]:
    """Sentences with placeholders between them; those of one place stand together."""
    edges = sorted(set(places))
    turns = [Turn("human", _joined(said[: edges[0]], places.count(edges[0])))]
    for number, edge in enumerate(edges):
        end = edges[number + 1] if number + 1 < len(edges) else len(said)
        turns.append(Turn("gpt", _joined(said[edge:end], 0)))
        if number + 1 < len(edges):
            turns.append(Turn("human", _joined([], places.count(end))))
    return turns


def _joined(sentences: list[str], images: int) -> str:
    return "\n".join([whole(one).strip() for one in sentences] + ["<image>"] * images)


READER = Reader(
    task="image_understanding",
    annotations=("{docs_*.jsonl,*/docs_*.jsonl}", "{docs_*.jsonl.zip,*/docs_*.jsonl.zip}", "*.jsonl"),
    licence="ODC-BY-1.0; images: of their owners",
    read=read,
    folders=("", "images"),
)
