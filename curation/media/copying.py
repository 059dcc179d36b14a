"""Clips copied packet by packet, without encoding, where that is exact to the frame; child process only.

A clip can be copied if its first frame is a key frame across which nothing refers, and if its frames come
next to each other in the order of decoding, too. Hiding surplus frames by an edit list would be easier, but
many readers pass over edit lists. What is copied is decoded once more and compared with what was asked for.
Sound, subtitles and metadata stay behind.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from curation.errors import MediaError
from curation.media import decode, probe, shape
from curation.media.spans import NEAR

TIMED = ("mp4", "matroska", "flv", "mpegts")  # containers that store when each packet is shown; AVI does not
EARLY = 1.0  # seconds before the clip from where packets are read: seeking in a transport stream is not exact
CODECS = frozenset(("h264", "hevc", "vp9", "av1", "libdav1d"))  # that players show in an mp4
PICTURES = frozenset(("yuv420p", "yuvj420p"))  # 8 bits, 4:2:0: what every reader takes
H264_IDR = (5,)  # ITU-T H.264, table 7-1
HEVC_CLEAN = (19, 20, 21)  # ITU-T H.265, table 7-1: IDR_W_RADL, IDR_N_LP, CRA_NUT


def copied(path: Path, start_s: float, end_s: float, num_frames: int, max_pixels: int) -> bytes | None:
    """An mp4 with exactly the `num_frames` frames in [start_s, end_s), or None if these must be encoded."""
    with probe.open_video(path, max_pixels) as (container, stream):
        if not plain(stream) or not any(name in container.format.name for name in TIMED):
            return None
        base, origin = float(stream.time_base), stream.start_time or 0
        start, end = start_s / base + origin, end_s / base + origin
        packets = _packets(container, stream, start, end, num_frames)
        if packets is None:
            return None
        first = packets[0].pts
        times = sorted((packet.pts - first) * base for packet in packets)
        data = _mux(stream, packets)
    return data if _shows(data, times, max_pixels) else None


def plain(stream: Any) -> bool:
    """Whether a stream's coded pictures are what every reader shows as they are meant, but for rotation."""
    context = stream.codec_context
    even = context.width % 2 == 0 and context.height % 2 == 0
    known = context.name in CODECS and context.pix_fmt in PICTURES
    return bool(known and even and shape.is_square(stream.sample_aspect_ratio))


def _packets(container: Any, stream: Any, start: float, end: float, count: int) -> list[Any] | None:
    """The packets of the frames in [start, end) ticks, if `count` in a row are these and no others."""
    near = NEAR / float(stream.time_base)
    from_here = start - EARLY / float(stream.time_base)
    if from_here > (stream.start_time or 0):
        container.seek(round(from_here), stream=stream)
    taken: list[Any] = []
    for packet in container.demux(stream):
        if packet.pts is None or packet.is_corrupt:
            return None
        if not taken and (not packet.is_keyframe or packet.pts < start - near):
            continue
        if packet.is_discard or not start - near <= packet.pts < end - near:
            return None
        taken.append(packet)
        if len(taken) == count:
            return taken if _begins(stream, taken[0], start + near) and _distinct(taken) else None
    return None


def _begins(stream: Any, packet: Any, latest: float) -> bool:
    """Whether a key packet is the first of its clip, and nothing after it refers to what was before."""
    if packet.pts > latest:
        return False
    context = stream.codec_context
    if context.name not in ("h264", "hevc"):
        return True  # a key frame of VP9 and AV1 empties the memory
    extra = context.extradata or b""
    units = _nal_units(bytes(packet), _length_size(context.name, extra))
    if context.name == "h264":
        return any(unit & 0x1F in H264_IDR for unit in units)
    return any(unit >> 1 & 0x3F in HEVC_CLEAN for unit in units)


def _distinct(packets: Sequence[Any]) -> bool:
    return len({packet.pts for packet in packets}) == len(packets)


def _length_size(codec: str, extra: bytes) -> int | None:
    """Bytes of a NAL unit's length (ISO/IEC 14496-15), or None where start codes part the units (Annex B)."""
    if not extra or extra[0] != 1:
        return None
    place = 4 if codec == "h264" else 21
    return (extra[place] & 3) + 1 if len(extra) > place else None


def _nal_units(data: bytes, length_size: int | None) -> Iterator[int]:
    """The first byte of each NAL unit of a packet."""
    place = 0
    while length_size is not None and place + length_size < len(data):
        yield data[place + length_size]
        place += length_size + int.from_bytes(data[place : place + length_size], "big")
    while length_size is None and (place := data.find(b"\0\0\1", place) + 3) > 2 and place < len(data):
        yield data[place]


def _mux(stream: Any, packets: Sequence[Any]) -> bytes:
    """The packets as an mp4 whose first frame is shown at 0. Decoding times are the latest that will do."""
    import av

    buffer = io.BytesIO()
    first = packets[0].pts
    shown = sorted(packet.pts - first for packet in packets)
    ahead = max(time - (packet.pts - first) for time, packet in zip(shown, packets, strict=True))
    with av.open(buffer, "w", format="mp4") as out:
        track = out.add_stream_from_template(stream, opaque=True)
        for time, packet in zip(shown, packets, strict=True):
            packet.pts, packet.dts = packet.pts - first, time - ahead
            packet.stream = track
            out.mux(packet)
    return buffer.getvalue()


def _shows(data: bytes, times: Sequence[float], max_pixels: int) -> bool:
    """Whether a copy decodes without fault to upright frames at exactly these times."""
    import av

    with av.open(io.BytesIO(data)) as container:
        stream = container.streams.video[0]
        # Deblocking changes pixels, not which frames there are.
        options = {"max_pixels": str(max_pixels), "skip_loop_filter": "all"}
        stream.codec_context.thread_count = 1
        stream.codec_context.options = options
        found = []
        try:
            for time, frame in decode.frames(container, stream):
                found.append(time)
                if len(found) == 1 and (frame.rotation or not frame.key_frame):
                    return False
        except (MediaError, av.FFmpegError):
            return False
    within = (abs(a - b) < NEAR for a, b in zip(found, times, strict=False))
    return len(found) == len(times) and all(within)
