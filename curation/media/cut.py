"""The bytes of a clip, exact to the frame; runs inside the child process only."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

from curation.filters import Kind
from curation.media import copying, decode, encoding, hiding, picture, probe, shape
from curation.media.encoding import Timed
from curation.media.records import Cut, Finish
from curation.media.spans import NEAR, Spans

PLAIN = {"PNG": "png", "JPEG": "jpeg", "WEBP": "webp"}
AS_IT_IS = Finish()
SPANS = Spans()  # open between the cuts of one file


def cut(
    path: Path,
    kind: Kind,
    start_s: float,
    end_s: float,
    num_frames: int,
    max_pixels: int,
    finish: Finish = AS_IT_IS,
) -> Cut:
    """Exactly the `num_frames` frames in [start_s, end_s), the first of them shown at 0; no sound.

    A plain PNG, JPEG or WebP and a whole H.264 mp4 without sound keep their bytes; what can be copied packet
    by packet is. All else is encoded anew: video with libx264, upright, with square pixels and even sides,
    images as PNG. So is everything that `finish` changes. Raises MediaError.
    """
    if kind == "image":
        return _image(path, max_pixels, finish)
    if finish == AS_IT_IS:
        if _is_whole(path, start_s, num_frames, max_pixels):
            return Cut(path.read_bytes(), "mp4", copied=True)
        data = copying.copied(path, start_s, end_s, num_frames, max_pixels)
        if data is not None:
            return Cut(data, "mp4", copied=True)
    return _encoded(path, start_s, num_frames, max_pixels, finish)


def _image(path: Path, max_pixels: int, finish: Finish) -> Cut:
    with probe.open_image(path, max_pixels) as image:
        upright = picture.orientation(image) == 1
        single = getattr(image, "n_frames", 1) == 1
        plain = image.format in PLAIN and image.mode in ("RGB", "L")
        if plain and upright and single and finish == AS_IT_IS:
            return Cut(path.read_bytes(), PLAIN[str(image.format)], copied=True)
    from PIL import Image

    pixels = shape.inside(picture.read(path, max_pixels)[None], finish.margins)[0]
    faces = hiding.find(pixels) if finish.hide_faces else []
    buffer = io.BytesIO()
    Image.fromarray(hiding.blurred(pixels, faces)).save(buffer, "PNG")
    return Cut(buffer.getvalue(), "png", False, float(bool(faces)) if finish.hide_faces else None)


def _is_whole(path: Path, start_s: float, num_frames: int, max_pixels: int) -> bool:
    """Whether the span is all of an upright H.264 mp4 that any player shows, with nothing else in it."""
    with probe.open_video(path, max_pixels) as (container, stream):
        plain = copying.plain(stream) and stream.codec_context.name == "h264"
        alone = "mp4" in container.format.name and len(container.streams) == 1
        if not (plain and alone and stream.frames == num_frames and start_s < NEAR):
            return False
        return bool(next(decode.frames(container, stream))[1].rotation == 0)


def _encoded(path: Path, start_s: float, num_frames: int, max_pixels: int, finish: Finish) -> Cut:
    def frames() -> Iterator[Timed]:
        taken, pixel = SPANS.take(path, start_s, num_frames, max_pixels)
        return encoding.shaped(taken, pixel, finish.margins)

    if not finish.hide_faces:
        return Cut(encoding.encode(frames(), num_frames), "mp4", copied=False)
    boxes = hiding.look(frames())  # decoding twice costs less than the detector, and keeps no frames
    data = encoding.encode(hiding.hide(frames(), boxes), num_frames)
    return Cut(data, "mp4", False, sum(map(bool, boxes)) / max(1, len(boxes)))
