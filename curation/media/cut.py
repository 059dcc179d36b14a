"""The bytes of a clip, exact to the frame; runs inside the child process only."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from curation.errors import MediaError
from curation.filters import Kind
from curation.media import decode, picture, planes, probe

NEAR = 5e-4  # seconds: how far a stored start may be from its frame's time
CLOCK = 90_000  # ticks a second of re-encoded clips
PLAIN = {"PNG": "png", "JPEG": "jpeg", "WEBP": "webp"}


def cut(
    path: Path, kind: Kind, start_s: float, end_s: float, num_frames: int, max_pixels: int
) -> tuple[bytes, str]:
    """Bytes and format of exactly `num_frames` frames, the first of them the frame at `start_s`.

    A whole H.264 mp4, and a plain PNG, JPEG or WebP, keep their bytes. All else is encoded anew: video with
    libx264 (crf 18, veryfast, yuv420p, even sides, rotation applied, no sound), images as PNG.
    """
    if kind == "image":
        return _image(path, max_pixels)
    if _is_whole(path, start_s, num_frames, max_pixels):
        return path.read_bytes(), "mp4"
    return _encode(_frames(path, start_s, num_frames, max_pixels), num_frames), "mp4"


def _image(path: Path, max_pixels: int) -> tuple[bytes, str]:
    with probe.open_image(path, max_pixels) as image:
        upright = picture.orientation(image) == 1
        single = getattr(image, "n_frames", 1) == 1
        if image.format in PLAIN and image.mode in ("RGB", "L") and upright and single:
            return path.read_bytes(), PLAIN[image.format]
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(picture.read(path, max_pixels)).save(buffer, "PNG")
    return buffer.getvalue(), "png"


def _is_whole(path: Path, start_s: float, num_frames: int, max_pixels: int) -> bool:
    """Whether the span is all of an upright H.264 mp4 that any player shows."""
    with probe.open_video(path, max_pixels) as (container, stream):
        context = stream.codec_context
        plain = "mp4" in container.format.name and context.name == "h264" and context.pix_fmt == "yuv420p"
        even = context.width % 2 == 0 and context.height % 2 == 0
        if not (plain and even and stream.frames == num_frames and start_s < NEAR):
            return False
        return bool(next(decode.frames(container, stream))[1].rotation == 0)


def _frames(path: Path, start_s: float, count: int, max_pixels: int) -> Iterator[tuple[float, Any]]:
    """The frames of a span with their times: from the key frame before it, else from the file's beginning."""
    for seek in (True, False):
        with probe.open_video(path, max_pixels) as (container, stream):
            if seek:
                container.seek(round(start_s / stream.time_base) + (stream.start_time or 0), stream=stream)
            passing = decode.frames(container, stream)
            first = next(passing, None)
            lost = first is None or first[1].pts is None or first[0] > start_s + NEAR
            if first is None or (seek and lost):
                continue
            yield from _span(chain([first], passing), start_s, count)
            return


def _span(passing: Iterable[tuple[float, Any]], start_s: float, count: int) -> Iterator[tuple[float, Any]]:
    """At most `count` frames from `start_s` on; asks for none after the last, which may not decode."""
    taken = 0
    for time, frame in passing:
        if time >= start_s - NEAR:
            yield time, frame
            taken += 1
        if taken == count:
            return


def _encode(frames: Iterator[tuple[float, Any]], count: int) -> bytes:
    import av

    buffer = io.BytesIO()
    written, start, stream = 0, 0.0, None
    with av.open(buffer, "w", format="mp4") as out:
        for time, frame in frames:
            ready = _upright(frame)
            if stream is None:
                start, stream = time, _stream(out, ready)
            ready.pts, ready.time_base = round((time - start) * CLOCK), Fraction(1, CLOCK)
            out.mux(stream.encode(ready))
            written += 1
        if stream is None or written != count:
            raise MediaError("truncated", f"{written} of the clip's {count} frames could be decoded")
        out.mux(stream.encode(None))
    return buffer.getvalue()


def _stream(out: Any, frame: Any) -> Any:
    options = {"crf": "18", "preset": "veryfast"}
    stream = out.add_stream("libx264", options=options)
    stream.width, stream.height, stream.pix_fmt = frame.width, frame.height, "yuv420p"
    stream.codec_context.time_base = Fraction(1, CLOCK)
    stream.codec_context.thread_count = 1
    return stream


def _upright(frame: Any) -> Any:
    """An 8-bit 4:2:0 frame with rotation applied and sides cropped to even numbers of pixels."""
    import av

    turns = round(frame.rotation / 90) % 4
    if frame.format.name != "yuv420p":
        frame = frame.reformat(format="yuv420p")
    if turns or frame.width % 2 or frame.height % 2:
        made = av.VideoFrame.from_ndarray(_i420(planes.planes(frame), turns), format="yuv420p")
        made.color_range, made.colorspace = frame.color_range, frame.colorspace
        frame = made
    frame.pict_type = av.video.frame.PictureType.NONE
    return frame


def _i420(parts: tuple[NDArray[np.uint8], ...], turns: int) -> NDArray[np.uint8]:
    """Y above U above V, [3H/2, W], as `VideoFrame.from_ndarray` reads it."""
    y, u, v = (np.rot90(part, turns) for part in parts)
    height, width = y.shape[0] // 2, y.shape[1] // 2
    half = [part[:height, :width].reshape(-1) for part in (u, v)]
    flat = np.concatenate([y[: 2 * height, : 2 * width].reshape(-1), *half])
    return flat.reshape(3 * height, 2 * width)
