from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import pytest
from PIL import Image

from curation.errors import MediaError
from curation.media.records import ScanRequest
from curation.media.scan import scan

PIXELS = 64_000_000


def slug(path: Path, max_pixels: int = PIXELS) -> str:
    """The error of a scan."""
    with pytest.raises(MediaError) as caught:
        scan(path, ScanRequest(), max_pixels)
    return caught.value.slug


def written(path: Path, data: bytes) -> Path:
    """A file of these bytes."""
    path.write_bytes(data)
    return path


def test_what_is_not_there(tmp_path: Path) -> None:
    """A missing file, a folder and an empty file are told apart from bad media."""
    assert slug(tmp_path / "nowhere.mp4") == "missing"
    assert slug(tmp_path) == "missing"
    assert slug(written(tmp_path / "empty.mp4", b"")) == "empty"


@pytest.mark.parametrize("name", ["notes.txt", "film.mp4", "photo.jpg"])
def test_text_is_not_media(tmp_path: Path, name: str) -> None:
    """Text is not media, whatever its name promises."""
    assert slug(written(tmp_path / name, b"just some words\n" * 100)) == "not_media"


def test_noise_is_not_media(tmp_path: Path) -> None:
    """Random bytes are not media."""
    import random

    assert slug(written(tmp_path / "noise.bin", random.Random(3).randbytes(50_000))) == "not_media"


@pytest.mark.parametrize(
    "text",
    [
        "#EXTM3U\n#EXTINF:5,\nfile://{victim}\n#EXT-X-ENDLIST\n",
        "#EXTM3U\n#EXTINF:5,\nhttp://127.0.0.1:9/secret.ts\n#EXT-X-ENDLIST\n",
        "ffconcat version 1.0\nfile '{victim}'\n",
        "[playlist]\nFile1={victim}\n",
        '<?xml version="1.0"?><MPD><Period><BaseURL>{victim}</BaseURL></Period></MPD>',
    ],
)
@pytest.mark.parametrize("name", ["list.m3u8", "list.mp4", "list.ffconcat"])
def test_playlists_never_open_other_files(tmp_path: Path, videos: Path, text: str, name: str) -> None:
    """A file that only points to others is not media, so it cannot make anything read them."""
    path = written(tmp_path / name, text.format(victim=videos / "bikes.mp4").encode())
    assert slug(path) == "not_media"


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:9/a.mp4", "concat:a.mp4|b.mp4", "pipe:0", "subfile,,:a.mp4"]
)
def test_urls_are_not_paths(url: str) -> None:
    """What FFmpeg would take for a protocol is a path that does not exist."""
    assert slug(Path(url)) == "missing"


def test_a_file_may_have_a_protocols_name(tmp_path: Path, videos: Path) -> None:
    """A real file named like a protocol opens as the file it is."""
    path = tmp_path / "concat:a|b.mp4"
    path.symlink_to(videos / "carphone_pristine.mp4")
    assert len(scan(path, ScanRequest(), PIXELS).clips) == 1


def test_too_many_pixels(videos: Path, images: Path) -> None:
    """Frames over the limit are refused from the header, for videos and images."""
    assert slug(videos / "bigbuckbunny.mp4", 500_000) == "too_many_pixels"
    assert slug(images / "retina.jpg", 500_000) == "too_many_pixels"


def test_a_small_file_with_huge_pixels_is_refused(tmp_path: Path) -> None:
    """A decompression bomb, 900 megapixels in a kilobyte, is an error before its pixels take memory."""
    row = zlib.compress(b"\0" * 4000)

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 0, 0, 0, 0)
    bomb = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", row) + chunk(b"IEND", b"")
    assert slug(written(tmp_path / "bomb.png", bomb)) == "too_many_pixels"


def test_sound_alone_is_not_media(tmp_path: Path) -> None:
    """A sound file, even with a cover picture's name, has no video to judge."""
    import av
    import numpy as np

    path = tmp_path / "sound.mp4"
    with av.open(str(path), "w") as out:
        stream = out.add_stream("aac", rate=44_100)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 44_100
        out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    assert slug(path) == "not_media"


def test_a_broken_picture_is_undecodable(tmp_path: Path, images: Path) -> None:
    """A file with an image's first bytes that does not decode is undecodable, not unknown."""
    data = (images / "rocket.jpg").read_bytes()
    assert slug(written(tmp_path / "broken.jpg", data[:4] + b"\0" * 500)) == "undecodable"


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "TIFF", "BMP", "GIF", "PPM", "AVIF"])
def test_common_formats_open(tmp_path: Path, images: Path, form: str) -> None:
    """Each common image format opens, whatever the file is called."""
    buffer = io.BytesIO()
    Image.open(images / "rocket.jpg").save(buffer, form)
    clip = scan(written(tmp_path / "noname", buffer.getvalue()), ScanRequest(), PIXELS).clips[0]
    assert (clip["kind"], clip["width"], clip["height"]) == ("image", 640, 427)
