"""What a file says of itself, read without decoding and with everything dangerous refused.

Playlists, concatenations and URLs never open: the path is given to FFmpeg as `file:`, the only protocol
allowed, and only container formats that hold their own media are. Frame sizes are limited before memory is
taken.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from curation.errors import MediaError
from curation.filters import Kind

if TYPE_CHECKING:
    import av.container
    import av.video.stream
    from PIL import Image

CONTAINERS = "mov,mp4,matroska,webm,avi,mpeg,mpegts,flv,ogg,asf,ivf,yuv4mpegpipe,mxf"
CODECS = frozenset(
    """
    h264 hevc vp8 vp9 av1 libdav1d mpeg1video mpeg2video mpeg4 msmpeg4v1 msmpeg4v2 msmpeg4 h263 flv mjpeg
    prores dnxhd dvvideo theora wmv1 wmv2 wmv3 vc1 ffv1 huffyuv ffvhuff rawvideo cinepak svq3 utvideo qtrle
    """.split()  # noqa: SIM905 - a quarter of the lines
)
HEAD_BYTES = 4 + 188  # enough for every format's mark; a transport stream repeats its own after 188
PICTURES = ("PNG", "JPEG", "WEBP", "TIFF", "GIF", "BMP", "PPM", "AVIF")


@dataclass(frozen=True)
class MediaInfo:
    """A file's header. Pixels after rotation; `num_frames` and `duration_s` are what the header announces."""

    kind: Kind
    width: int
    height: int
    fps: float | None
    num_frames: int | None
    duration_s: float | None


def check_file(path: Path) -> int:
    """Size in bytes of a regular, non-empty file."""
    try:
        size = os.stat(path).st_size if path.is_file() else -1
        with open(path, "rb"):
            pass
    except OSError as error:
        raise MediaError("missing", f"{type(error).__name__}: {error.strerror}") from error
    if size < 0:
        raise MediaError("missing", "not a regular file")
    if size == 0:
        raise MediaError("empty", "0 bytes")
    return size


def sniff(path: Path) -> Kind | None:
    """The kind that the first bytes promise, or None for no format known here."""
    with open(path, "rb") as file:
        return kind_of(file.read(HEAD_BYTES))


def kind_of(head: bytes) -> Kind | None:
    """The kind that a file's first `HEAD_BYTES` bytes promise, or None for no format known here."""
    if head.startswith((b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"BM", b"II*\0", b"MM\0*")) or (
        head[:4] == b"RIFF" and head[8:12] == b"WEBP"
    ):
        return "image"
    if head[:1] == b"P" and head[1:2] in b"1234567" and head[2:3].isspace():
        return "image"
    if head[4:8] == b"ftyp" and head[8:12] in (b"avif", b"avis"):
        return "image"
    boxes = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip")
    if head[4:8] in boxes or head.startswith(
        (b"\x1aE\xdf\xa3", b"\0\0\1\xba", b"\0\0\1\xb3", b"FLV", b"OggS")
    ):
        return "video"
    if (head[:4] == b"RIFF" and head[8:12] == b"AVI ") or (head[:1] == b"G" and head[188:189] == b"G"):
        return "video"
    return None


@contextmanager
def open_image(path: Path, max_pixels: int) -> Iterator[Image.Image]:
    """A picture, not decoded yet. A decompression bomb is an error here, not a warning."""
    from PIL import Image

    Image.MAX_IMAGE_PIXELS = None  # the limit below is the one
    with Image.open(path, formats=PICTURES) as image:
        if image.width * image.height > max_pixels:
            raise MediaError("too_many_pixels", f"{image.width}x{image.height} is over {max_pixels} pixels")
        yield image


@contextmanager
def open_video(path: Path, max_pixels: int) -> Iterator[tuple[av.container.InputContainer, Any]]:
    """A container and its first real video stream, single-threaded, with an allowed codec and frame size."""
    import av
    import av.stream

    options = {
        "format_whitelist": CONTAINERS,
        "protocol_whitelist": "file",
        "max_pixels": str(max_pixels),
    }
    with av.open("file:" + str(path.resolve()), options=options, metadata_errors="replace") as container:
        cover = av.stream.Disposition.attached_pic
        streams = [stream for stream in container.streams.video if not stream.disposition & cover]
        if not streams:
            raise MediaError("not_media", f"a {container.format.name} file without a video stream")
        stream = streams[0]
        _check_codec(stream, max_pixels)
        stream.codec_context.thread_count = 1
        stream.codec_context.options = {"max_pixels": str(max_pixels)}
        yield container, stream


def read_video(stream: av.video.stream.VideoStream, container: Any) -> MediaInfo:
    """The header of an open video; sizes as stored, for rotation is known only from a frame."""
    import av

    duration = stream.duration * stream.time_base if stream.duration and stream.time_base else None
    if duration is None and container.duration:
        duration = container.duration / av.time_base
    rate = stream.average_rate or stream.guessed_rate or stream.base_rate
    fps = float(rate) if rate else 25.0
    seconds = float(duration) if duration else None
    frames = stream.frames or (round(seconds * fps) if seconds else None)
    return MediaInfo("video", stream.codec_context.width, stream.codec_context.height, fps, frames, seconds)


def _check_codec(stream: Any, max_pixels: int) -> None:
    context = stream.codec_context
    if context is None or context.name not in CODECS:
        raise MediaError(
            "undecodable", f"codec {context.name if context else 'unknown'} is not an allowed one"
        )
    if context.width * context.height > max_pixels:
        raise MediaError("too_many_pixels", f"{context.width}x{context.height} is over {max_pixels} pixels")
