"""HD-VILA-100M: addresses of videos.

Released (github.com/microsoft/XPretrain, hd-vila-100m): `metafiles/*.jsonl`, a line each of {video_id, url,
clip}, `clip` a list of {clip_id, span}. Videos that are there already, as download_videos/VIDEO_ID.mp4 or
videos/VIDEO_ID.mp4, are taken from there; others are downloaded from `url`, politely (`download`), but for
YouTube's, whose terms do not allow it. A whole video is one input: curation finds its own clips in it.
"""

from __future__ import annotations

from curation.sources.datasets._sample import Links, Reader, Record


def places(record: Record) -> tuple[str, ...]:
    """Where a video may lie already."""
    name = record.get("video_id")
    if not isinstance(name, str) or not name or "/" in name:
        return ()
    return tuple(f"{folder}/{name}.mp4" for folder in ("download_videos", "videos", "video"))


READER = Reader(
    task="text_to_video",
    annotations=("metafiles/*.jsonl", "*.jsonl", "*/*.jsonl"),
    licence="HD-VILA-100M terms: research",
    links=Links("url", local=places),
)
