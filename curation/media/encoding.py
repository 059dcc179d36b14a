"""Clips encoded anew, as 8-bit H.264 with upright pictures of square pixels; child process only."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from curation.errors import MediaError
from curation.filters import Margins
from curation.media import planes, shape

CLOCK = 90_000  # ticks a second
AVX_512 = 13  # OpenCV's number for it (cv::CpuFeatures)
# With AVX-512 x264 makes other files of the same frames: 22 of 60 encodings of one clip, with AVX2 one.
REPEATABLE = ":asm=avx2" if cv2.checkHardwareSupport(AVX_512) else ""
# superfast lacks the macroblock tree, which halves the bytes for a tenth of the time (LOG.md, 2026-11-22)
OPTIONS = {"crf": "18", "preset": "superfast", "x264-params": "mbtree=1:rc-lookahead=10" + REPEATABLE}
BT601 = 6  # AVCOL_SPC_SMPTE170M
RGB = 0  # AVCOL_SPC_RGB: such frames are converted by BT.601

Bytes = NDArray[np.uint8]
Timed = tuple[float, Any]  # seconds, frame
Planes = tuple[Bytes, Bytes, Bytes]


def encode(frames: Iterable[Timed], count: int) -> bytes:
    """An mp4 of shaped frames, the first of them shown at 0. Raises MediaError if there are not `count`."""
    import av

    buffer = io.BytesIO()
    written, start, stream = 0, 0.0, None
    with av.open(buffer, "w", format="mp4") as out:
        for time, frame in frames:
            if stream is None:
                start, stream = time, _stream(out, frame)
            frame.pts, frame.time_base = round((time - start) * CLOCK), Fraction(1, CLOCK)
            frame.pict_type = av.video.frame.PictureType.NONE
            out.mux(stream.encode(frame))
            written += 1
        if stream is None or written != count:
            raise MediaError("truncated", f"{written} of the clip's {count} frames could be decoded")
        out.mux(stream.encode(None))
    return buffer.getvalue()


def _stream(out: Any, frame: Any) -> Any:
    stream = out.add_stream("libx264", options=OPTIONS)
    stream.width, stream.height, stream.pix_fmt = frame.width, frame.height, "yuv420p"
    context = stream.codec_context
    context.time_base, context.thread_count = Fraction(1, CLOCK), 1
    context.color_range, context.colorspace = frame.color_range, frame.colorspace
    context.color_primaries, context.color_trc = frame.color_primaries, frame.color_trc
    return stream


def shaped(frames: Iterable[Timed], ratio: Fraction | None, margins: Margins) -> Iterator[Timed]:
    """8-bit 4:2:0 frames, upright, with square pixels, without margins, their sides cropped to even numbers.

    `ratio` is a stored pixel's width over its height. The colour matrix that an unmarked frame is taken to
    have is marked, for a crop may change what readers would guess.
    """
    for time, frame in frames:
        yield time, _shaped(frame, ratio, margins)


def _shaped(frame: Any, ratio: Fraction | None, margins: Margins) -> Any:
    matrix = _matrix(frame)
    turns = round(frame.rotation / 90) % 4
    if frame.format.name != "yuv420p":
        frame = frame.reformat(format="yuv420p", threads=1)
    size = shape.square(frame.width, frame.height, ratio)
    odd = frame.width % 2 or frame.height % 2
    if turns or odd or any(margins) or size != (frame.width, frame.height):
        parts = tuple(np.rot90(part, turns) for part in _stretched(planes.planes(frame), size))
        frame = with_planes(frame, _cropped(parts, margins))
    frame.colorspace = matrix
    return frame


def _matrix(frame: Any) -> int:
    if frame.colorspace == planes.UNSPECIFIED:
        return planes.BT709 if frame.height >= planes.HD_HEIGHT else BT601
    return BT601 if frame.colorspace == RGB else int(frame.colorspace)


def _stretched(parts: Planes, size: tuple[int, int]) -> Planes:
    """Planes with as many columns as a picture of `size` has, which keeps its lines."""
    y, u, v = parts
    if y.shape[1] == size[0]:
        return parts
    half = (size[0] + 1) // 2
    wide = [(y, size[0]), (u, half), (v, half)]
    y, u, v = (
        cv2.resize(part, (columns, len(part)), interpolation=cv2.INTER_LINEAR) for part, columns in wide
    )
    return y, u, v


def _cropped(parts: Sequence[Bytes], margins: Margins) -> Planes:
    y, u, v = parts
    left, top, right, bottom = shape.box(y.shape[1], y.shape[0], margins)
    right, bottom = right - (right - left) % 2, bottom - (bottom - top) % 2
    half = slice(top // 2, bottom // 2), slice(left // 2, right // 2)
    return y[top:bottom, left:right], u[half], v[half]


def with_planes(frame: Any, parts: Planes) -> Any:
    """A 4:2:0 frame of these planes, of even sides, with the colours of another."""
    import av

    flat = np.concatenate([part.reshape(-1) for part in parts])  # Y above U above V
    made = av.VideoFrame.from_ndarray(flat.reshape(-1, parts[0].shape[1]), format="yuv420p")
    for name in ("color_range", "colorspace", "color_primaries", "color_trc"):
        setattr(made, name, getattr(frame, name))
    return made
