"""A small dataset with the columns of a real one: coloured images and moving clips, and edits of both."""

from __future__ import annotations

import io
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pyarrow as pa
import pytest
import torch
from deltalake import write_deltalake
from PIL import Image

from curation.dataset import schema
from training.config import TrainRequest
from training.parallel.engine import join
from training.parallel.team import Team

SCORES = {"dedup_hamming": None, "quality_technical": 0.5}


def clip_bytes(seed: int, frames: int = 36, fps: int = 24) -> bytes:
    """A square moving over a plain ground."""
    colours = np.random.default_rng(seed).integers(0, 255, (2, 3))
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as container:
        stream = container.add_stream("mpeg4", rate=fps)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        for number in range(frames):
            picture = np.full((64, 96, 3), colours[0], np.uint8)
            left = 2 * number % 80
            picture[20:40, left : left + 16] = colours[1]
            for packet in stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
    return buffer.getvalue()


def image_bytes(seed: int) -> bytes:
    """A plain ground with a square."""
    colours = np.random.default_rng(seed).integers(0, 255, (2, 3))
    picture = np.full((72, 80, 3), colours[0], np.uint8)
    picture[20:50, 20:50] = colours[1]
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "PNG")
    return buffer.getvalue()


def row(task: str, number: int, score: float = 0.5) -> dict[str, Any]:
    """One kept row of `task`."""
    moving = "video" in task
    media = clip_bytes(number) if moving else image_bytes(number)
    understanding, edit = task.endswith("understanding"), task.endswith("edit")
    turns = [{"role": "user", "content": "What is it?"}, {"role": "assistant", "content": f"square {number}"}]
    return {
        **dict.fromkeys(schema().names),
        "sample_id": f"{task}-{number:03d}",
        "task": task,
        "source": "made",
        "width": 96 if moving else 80,
        "height": 64 if moving else 72,
        "fps": 24.0 if moving else None,
        "num_frames": 36 if moving else 1,
        "media": media,
        "media_format": "mp4" if moving else "png",
        "edit_source": (clip_bytes(number + 50) if moving else image_bytes(number + 50)) if edit else None,
        "caption": None if understanding or edit else f"a square numbered {number}",
        "instruction": "paint it in other colours" if edit else None,
        "conversation": turns if understanding else None,
        "verdict": "kept",
        "scores": {"dedup_hamming": None, "quality_technical": score},
    }


def write_dataset(folder: Path, counts: dict[str, int]) -> str:
    """Write a Delta table with so many rows of each task, scores rising from 0."""
    rows = [row(task, n, score=n / count) for task, count in counts.items() for n in range(count)]
    rejected = {**row("text_to_image", 900), "verdict": "rejected", "media": None}
    write_deltalake(str(folder), pa.Table.from_pylist([*rows, rejected], schema(["quality_technical"])))
    return str(folder)


@pytest.fixture(scope="session")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Images, clips and edits of both; no understanding rows."""
    counts = {"text_to_image": 6, "text_to_video": 5, "image_edit": 2, "video_edit": 2}
    return write_dataset(tmp_path_factory.mktemp("dataset") / "table", counts)


def tiny_request(data: str, out: Path, steps: int = 2, **changes: Any) -> TrainRequest:
    """A request for all three stages of the tiny model, `steps` each."""
    phase = {"steps": steps, "batch_size": 4, "micro_batch_size": 2, "learning_rate": 1e-3}
    names = ("stage_1", "stage_2_align", "stage_2_flow", "stage_3")
    document = {
        "data": data,
        "out": str(out),
        "version": 0,
        "model": {"preset": "tiny"},
        "stages": {
            "image_sizes": [[64, 64]],
            "video_sizes": [[64, 64]],
            "clip_seconds": [1.0],
            "checkpoint_every": 2,
            **dict.fromkeys(names, phase),
        },
        "mix": {"weights": dict.fromkeys(TASKS, 1.0)},
        **changes,
    }
    return TrainRequest.model_validate(document)


TASKS = (
    *("text_to_image", "text_to_video", "image_edit", "video_edit"),
    *("image_understanding", "video_understanding"),
)


@pytest.fixture(scope="session")
def team() -> Iterator[Team]:
    """A team of one in this process, over gloo."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    names = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "RANK": "0", "WORLD_SIZE": "1"}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {**names, "LOCAL_RANK": "0"}.items():
            patch.setenv(name, value)
        torch.set_num_threads(1)
        join(torch.device("cpu"))
        yield Team.current(torch.device("cpu"))
        torch.distributed.destroy_process_group()
