"""What a record of a dataset says: a task, the media it is about, and the text that goes with them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from curation.errors import MediaError

Task = Literal["image_understanding", "video_understanding", "image_edit", "video_edit"]
Record = Mapping[str, Any]
BAD_RECORD = "bad_record"


class RecordError(MediaError):
    """A record cannot be used: a stable slug, and what is wrong with it."""


class Ref(NamedTuple):
    """A picture or video that a record names."""

    entry: str  # a path below the root, or the uri of a value in Parquet
    url: str | None = None  # where it can be had if it is not there


class Turn(NamedTuple):
    """One message, as released."""

    role: str
    content: str


@dataclass(frozen=True)
class Sample:
    """A record, understood. Of an edit, `media` are the source and the target."""

    task: Task
    media: tuple[Ref, ...]
    conversation: tuple[Turn, ...] = ()
    instruction: str | None = None
    caption: str | None = None  # of an edit's target, or what an image was made from
    refused: str | None = None  # a slug: a whole record that is of no use here


@dataclass(frozen=True)
class Reader:
    """How one dataset is read. Annotations and folders are relative to the root."""

    annotations: tuple[str, ...]  # glob patterns; all files of the first that matches any
    licence: str
    task: str | None = None  # that its samples are for; None: several, each says its own
    read: Callable[[Record], Sample] | None = None  # of a record; None: see `links`
    folders: tuple[str, ...] = ("",)  # where media may lie
    links: Links | None = None


@dataclass(frozen=True)
class Links:
    """Which fields of a record name media to be curated like any other, and what they come with."""

    url: str
    captions: tuple[str, ...] = ()  # the first that is there
    licence: str | None = None
    local: Callable[[Record], tuple[str, ...]] | None = None  # paths where it may lie already


def text_of(record: Record, *names: str) -> str | None:
    """The first of some fields that is there, as text without space around it.

    Raises RecordError for what is no text.
    """
    for name in names:
        value = record.get(name)
        if value is None:
            continue
        if not isinstance(value, str):
            raise RecordError(BAD_RECORD, f"{name!r} is no text but {type(value).__name__}")
        return whole(value).strip()
    return None


def whole(text: str) -> str:
    """Text that fits in a column: half a surrogate pair, as JSON can hold it, is no character."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
