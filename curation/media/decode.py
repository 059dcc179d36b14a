"""One pass over the frames of a video, with their times, that does not end quietly before the video does."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from curation.errors import MediaError
from curation.media import pulse

ONE_FRAME_A_PACKET = frozenset(
    ("h264", "hevc", "vp9", "av1", "libdav1d", "mpeg4", "mjpeg", "mpeg1video", "mpeg2video", "prores", "ffv1")
)

SAME_SECONDS = 1e-4  # stamps no further apart are one stamp
SLACK_SECONDS, SLACK_FRAMES = 0.2, 4  # a header's duration may be off by this, the larger of the two


def frames(container: Any, stream: Any) -> Iterator[tuple[float, Any]]:
    """Yield (seconds from the stream's start, frame) in order of time.

    After the last frame, raises MediaError("truncated") if there were fewer than the header or the packets
    promise, and MediaError("undecodable") if some were damaged. Whatever FFmpeg itself raises goes through.
    """
    packets = decoded = damaged = 0
    clock = _Clock(stream)
    for packet in container.demux(stream):
        packets += bool(packet.size and not packet.is_discard)
        for frame in packet.decode():
            decoded += 1
            damaged += frame.is_corrupt
            pulse.beat()
            yield clock.time(frame), frame
    _check(stream, decoded, packets, damaged)
    clock.check_end(container, stream)


class _Clock:
    """Times from presentation stamps; one that is missing, repeated or earlier is one frame after the last.

    AVI with several frames in a packet has earlier ones: its stamps come in another order than its pictures.
    """

    def __init__(self, stream: Any) -> None:
        self._base = float(stream.time_base)
        self._start = stream.start_time or 0
        self._period = 1 / float(stream.average_rate or stream.guessed_rate or 25)
        self._last: float | None = None
        self._end = 0.0

    def time(self, frame: Any) -> float:
        time = None if frame.pts is None else (frame.pts - self._start) * self._base
        if self._last is not None and (time is None or time <= self._last + SAME_SECONDS):
            time = self._last + self._period
        self._last = time or 0.0
        self._end = self._last + (frame.duration * self._base if frame.duration else self._period)
        return self._last

    def check_end(self, container: Any, stream: Any) -> None:
        """Raise MediaError("truncated") if the frames end long before the header says that they do."""
        announced = stream.duration * self._base if stream.duration else None
        if announced is None and len(container.streams) == 1 and container.duration:
            announced = container.duration / 1_000_000 - self._start * self._base
        slack = max(SLACK_SECONDS, SLACK_FRAMES * self._period)
        if announced and self._end < announced - slack:
            raise MediaError("truncated", f"frames end at {self._end:.2f} of {announced:.2f} s")


def _check(stream: Any, decoded: int, packets: int, damaged: int) -> None:
    if decoded == 0:
        raise MediaError("undecodable", "no frame could be decoded")
    expected = _announced(stream, decoded)
    if stream.codec_context.name in ONE_FRAME_A_PACKET:
        expected = max(expected, packets - stream.codec_context.has_b_frames)
    if decoded < expected:
        raise MediaError("truncated", f"{decoded} of {expected} frames could be decoded")
    if damaged:
        raise MediaError("undecodable", f"{damaged} of {decoded} frames are damaged")


def _announced(stream: Any, decoded: int) -> int:
    """Frames that the header promises, less those that an edit list hides; 0 if it promises none."""
    if not stream.frames or decoded >= stream.frames:
        return int(stream.frames)
    shown = [entry for entry in stream.index_entries if entry.size and not entry.is_discard]
    return min(int(stream.frames), len(shown)) if shown else int(stream.frames)


def check_length(path: Path, size: int) -> None:
    """Raise MediaError("truncated") if the container's own sizes go beyond the end of the file."""
    with open(path, "rb") as file:
        head = file.read(12)
        if head[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip"):
            end = _end_of_boxes(file, size)
        elif head[:4] == b"RIFF":
            end = 8 + int.from_bytes(head[4:8], "little")
        elif head[:4] == b"\x1aE\xdf\xa3":
            end = _end_of_segment(file)
        else:
            return
    if end > size:
        raise MediaError("truncated", f"the file has {size} of at least {end} bytes")


def _end_of_boxes(file: Any, size: int) -> int:
    """Where the top-level boxes of an MP4 (ISO/IEC 14496-12, 4.2) end, by their own account."""
    position = 0
    while position + 8 <= size:
        file.seek(position)
        head = file.read(16)
        length = int.from_bytes(head[:4], "big")
        if length == 1:
            length = int.from_bytes(head[8:16], "big")
        if length == 0:
            return size
        if length < 8:
            break
        position += length
    return position


def _end_of_segment(file: Any) -> int:
    """Where a Matroska file's segment ends, by its own account (RFC 8794, 4); 0 if it does not say."""
    file.seek(4)
    length, _ = _ebml_size(file)
    file.seek(length, 1)
    segment = file.read(4)
    length, known = _ebml_size(file)
    return int(file.tell()) + length if segment == b"\x18S\x80g" and known else 0


def _ebml_size(file: Any) -> tuple[int, bool]:
    """The size at the file's position, and whether it is known (all ones mean unknown)."""
    first = file.read(1)[0:1] or b"\xff"
    more = 8 - first[0].bit_length() if first[0] else 7
    rest = int.from_bytes(file.read(more), "big")
    value = ((first[0] & ((1 << (7 - more)) - 1)) << (8 * more)) | rest
    return value, value != (1 << (7 * (more + 1))) - 1
