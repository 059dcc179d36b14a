"""Rows of the world: media as files, and beside each what a dataset of its task says of it."""

from __future__ import annotations

import io
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

import numpy as np

from omnivideo.media import repeatable
from omnivideo.shapes.edits import Edit, sample_edit
from omnivideo.shapes.palette import COLORS
from omnivideo.shapes.questions import ask, fact
from omnivideo.shapes.render import Pixels, render
from omnivideo.shapes.sampling import Split, generator, sample_scene
from omnivideo.shapes.scene import Scene
from omnivideo.shapes.words import caption

Task = Literal[
    "text_to_image",
    "text_to_video",
    "image_understanding",
    "video_understanding",
    "image_edit",
    "video_edit",
]
VIDEO_TASKS = ("text_to_video", "video_understanding", "video_edit")
FACT_SHARE = 0.2  # of conversations that also ask what colour something well known has
ROWS_A_FOLDER = 1000


@dataclass(frozen=True)
class Look:
    """How a world is shown: `size` pixels a side; videos last `seconds` at `fps`."""

    size: int = 64
    fps: int = 24
    seconds: float = 1.0

    @property
    def num_frames(self) -> int:
        """Of a video. One more than seconds × fps: its last frame is on show when the last second ends."""
        return round(self.seconds * self.fps) + 1


def make_row(folder: Path, task: Task, seed: int, split: Split, number: int, look: Look) -> dict[str, Any]:
    """Write the media of a row below `folder` and return the row: `path`, its texts, and `truth`."""
    row, scenes = told(task, seed, split, number)
    moving = task in VIDEO_TASKS
    name = f"{task}/{number // ROWS_A_FOLDER:04d}/{number:07d}"
    suffix = "mp4" if moving else "png"
    row |= {"path": f"{name}.{suffix}", "task": task}
    row |= {"edit_source": f"{name}-source.{suffix}"} if len(scenes) > 1 else {}
    for which, scene in zip(("path", "edit_source"), scenes, strict=False):
        _save(folder / row[which], scene, moving, look)
    return row


def told(
    task: Task, seed: int, split: Split, number: int, simple: bool = False
) -> tuple[dict[str, Any], list[Scene]]:
    """A row's texts and `truth`, and the scenes behind its media: of an edit the target, then the source.

    `simple`: scenes that are no edit's have one thing, large, about the middle, told in a few words.
    """
    rng = generator("row", seed, split, task, number)
    moving = task in VIDEO_TASKS
    if task in ("image_edit", "video_edit"):
        edit = sample_edit(rng, split, moving)
        return {"instruction": edit.instruction, "truth": edit.as_json()}, [edit.target, edit.source]
    scene = sample_scene(rng, split, moving, simple=simple)
    row: dict[str, Any] = {"truth": scene.as_json()}
    if task in ("text_to_image", "text_to_video"):
        row["caption"] = caption(scene, rng, moving, simple)
    else:
        turns = ask(scene, rng, moving)
        turns += [fact(rng.choice(list(COLORS)), rng)] if rng.random() < FACT_SHARE else []
        row["conversation"] = turns
    return row, [scene]


def edit_of(row: dict[str, Any]) -> Edit:
    """The edit that a row of an edit was made from, without the things that change."""
    truth = row["truth"]
    source, target = (Scene.from_json(truth[which]) for which in ("source", "target"))
    return Edit(truth["operation"], truth["instruction"], source, target)


def _save(path: Path, scene: Scene, moving: bool, look: Look) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    frames = render(scene, look.size, look.num_frames if moving else 1)
    path.write_bytes(encode_video(frames, look.fps) if moving else encode_image(frames[0]))


def encode_image(pixels: Pixels) -> bytes:
    """[H, W, 3] as PNG."""
    import cv2

    _, data = cv2.imencode(".png", np.ascontiguousarray(pixels[..., ::-1]))
    return bytes(data)


def encode_video(frames: Pixels, fps: int, crf: int = 8) -> bytes:
    """[T, H, W, 3] as H.264 in mp4; even sides."""
    import av

    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as container:
        options = {"crf": str(crf), "preset": "veryfast", "tune": "animation", **repeatable()}
        stream = container.add_stream("libx264", rate=Fraction(fps), options=options)
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = "yuv420p"
        stream.codec_context.thread_count = 1
        for pixels in frames:
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            container.mux(stream.encode(frame.reformat(format="yuv420p", threads=1)))
        container.mux(stream.encode())
    return buffer.getvalue()
