"""What a recipe says about speed: `stages.speed`."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Mode = Literal["none", "elementwise", "light", "selective", "full"]
"""What the backward pass computes again; see `training.speed.recompute`."""


class SpeedSection(BaseModel):
    """How the transformer computes; results differ by rounding only."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    compile: bool | None = Field(
        default=None,
        description="compile the transformer's blocks, a graph for each bucket; left out: on GPUs alone. A "
        "graph takes about a minute once",
    )
    max_graphs: int = Field(
        default=8,
        ge=1,
        description="graphs of a phase, one a bucket, two where the transformer is frozen; buckets beyond "
        "run uncompiled",
    )
    attention: Literal["auto", "cudnn", "flash", "efficient", "native"] = Field(
        default="auto",
        description="self-attention's kernel on GPUs; auto: the fastest on the largest bucket, measured when "
        "a phase starts; native: PyTorch's own choice, as always on CPUs",
    )
