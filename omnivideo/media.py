"""Frames to and from files: mp4 through PyAV, pictures through Pillow, both imported on use."""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from omnivideo.errors import InputError

Pixels = np.ndarray[Any, np.dtype[np.uint8]]
AVX_512 = 13  # OpenCV's number for it (cv::CpuFeatures)
_PICTURES = {".png", ".jpg", ".jpeg", ".webp", ".bmp"}


def save(frames: Pixels, path: str | PathLike[str], fps: int) -> Path:
    """Write uint8 [T, H, W, 3]: one frame to a picture by its suffix, otherwise H.264 in mp4 at `fps`.

    A video needs even sides (4:2:0 chroma). Raises InputError for a suffix that does not fit.
    """
    target = Path(path)
    check_target(target, len(frames))
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.suffix.lower() in _PICTURES:
        return _save_picture(frames, target)
    import av

    with av.open(str(target), "w") as container:
        stream = container.add_stream("libx264", rate=fps, options={"crf": "16", **repeatable()})
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = "yuv420p"
        for pixels in frames:
            container.mux(
                stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24"))
            )
        container.mux(stream.encode())
    return target


def repeatable() -> dict[str, str]:
    """Options by which x264 makes one file of the same frames; its routines for AVX-512 make several."""
    import cv2

    return {"x264-params": "asm=avx2"} if cv2.checkHardwareSupport(AVX_512) else {}


def check_target(path: str | PathLike[str], num_frames: int | None) -> None:
    """Raise InputError for a name that no writer knows, or a picture's for several frames."""
    target = Path(path)
    picture = target.suffix.lower() in _PICTURES
    if not picture and target.suffix.lower() != ".mp4":
        raise InputError(
            f"no writer for {target.name!r}", "save", "Use .mp4 for a video or .png for an image"
        )
    if picture and num_frames is not None and num_frames != 1:
        what = f"{num_frames} frames do not fit into {target.name!r}"
        raise InputError(what, "save", "Use .mp4 for a video")


def _save_picture(frames: Pixels, target: Path) -> Path:
    from PIL import Image

    Image.fromarray(frames[0]).save(target)
    return target


def load(
    path: str | PathLike[str],
    num_frames: int | None = None,
    height: int | None = None,
    width: int | None = None,
) -> Pixels:
    """Read a picture or video as uint8 [T, H, W, 3].

    `num_frames` evenly spaced frames are kept; height and width fill and crop the centre. Raises InputError
    when the file is missing or holds no picture.
    """
    source = Path(path)
    if not source.is_file():
        raise InputError(f"there is no file {source}", "load", "Check the path")
    frames = _load_picture(source) if source.suffix.lower() in _PICTURES else _load_video(source)
    if num_frames is None and height is None and width is None:
        return frames
    from omnivideo.frames import as_clip, to_uint8

    fitted: Pixels = to_uint8(as_clip(frames, num_frames, height, width))[0]
    return fitted


def _load_picture(source: Path) -> Pixels:
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        with Image.open(source) as image:
            pixels: Pixels = np.asarray(ImageOps.exif_transpose(image).convert("RGB"), dtype=np.uint8)
        return pixels[None]
    except (UnidentifiedImageError, OSError) as error:
        raise InputError(
            f"{source} does not open as a picture ({error})", "load", "Check the file"
        ) from error


def _load_video(source: Path) -> Pixels:
    import av

    try:
        with av.open(str(source)) as container:
            frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    except (av.FFmpegError, IndexError) as error:
        raise InputError(f"{source} does not open as a video ({error})", "load", "Check the file") from error
    if not frames:
        raise InputError(f"{source} holds no video frame", "load", "Check the file")
    return np.stack(frames)
