"""What is trained from: a model with random weights, and encoded shards of random values in real shapes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from sizes import WORDS, Size
from torch import Tensor

from training.config import TrainRequest
from training.data.samples import Sample, view_of
from training.encoding.identity import identify
from training.encoding.shards import Shards, describe, packed, stored_type
from training.encoding.values import Value, of_sample
from training.model.origin import write_initial_model
from training.stages import PHASES

SAMPLES = 4
DROPOUT = 0.1  # of captions, as a recipe has it


def samples(size: Size) -> list[tuple[Sample, dict[str, float | None]]]:
    """Rows of a dataset, without media: nothing reads those where shards hold everything."""
    height, width = size.bucket.height, size.bucket.width
    return [
        (Sample(f"clip-{n}", "text_to_video", width, height, size.seconds + 1, f"clip {n} of noise"), {})
        for n in range(SAMPLES)
    ]


def make(size: Size, folder: Path) -> None:
    """Write `model` and `encoded` into `folder`."""
    write_initial_model(size.model, folder / "model")
    identity = identify(folder / "model")
    rows = []
    for value in dict.fromkeys(_values(size)):
        encoder = identity.encoder(value.name)
        kept = packed(_random(size, value), stored_type(value, "float32"))
        rows.append({**describe(value, encoder, "float32"), **kept})
    Shards(str(folder / "encoded")).write(rows)


def request(size: Size, folder: Path, run: Path, workers: int, gpu: bool, **phase: Any) -> TrainRequest:
    """A recipe that trains both flow phases on the one bucket; `phase` are their settings."""
    height, width = size.bucket.height, size.bucket.width
    settings = {"steps": size.steps, "fps": size.fps, "visual_tokens": "stored", "best_share": 1.0, **phase}
    shared, compiled = settings.pop("sequence_parallel", 1), settings.pop("compile", None)
    return TrainRequest.model_validate(
        {
            **{"data": "made", "out": str(run), "version": 0, "model": {"path": str(folder / "model")}},
            "stages": {
                "video_sizes": [[height, width]],
                "clip_seconds": [size.seconds],
                "stage_2_flow": settings,
                "stage_3": settings,
                "held_out_share": 0.0,
                "speed": {"compile": compiled},
            },
            "mix": {"encoded": {"folder": str(folder / "encoded")}, "caption_dropout": DROPOUT},
            "cluster": {
                **{"num_workers": workers, "use_gpu": gpu, "cpus_per_worker": 4 if gpu else 1},
                **{"max_failures": 0, "sequence_parallel": shared},
            },
        }
    )


def _values(size: Size) -> Iterator[Value]:
    for sample, _ in samples(size):
        view = view_of(sample, size.bucket, size.fps)
        yield from of_sample(PHASES[-1], sample, view, DROPOUT, stored=True)


def _random(size: Size, value: Value) -> Tensor:
    config = size.config
    if value.name == "latents":
        return torch.randn(size.latents)
    if value.name == "text":
        return torch.randn(min(WORDS, config.text_encoder.max_tokens), config.text_encoder.d_model)
    return torch.randn(config.vision_head.num_tokens("video"), config.vision_head.target.hidden_size)
