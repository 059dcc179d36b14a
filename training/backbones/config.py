"""What a recipe says about backbones: the world they see, and how long each of the three learns."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from omnivideo.config import TimeDistribution

LessonName = Literal["autoencoder", "reader", "painter"]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class LessonSection(_Section):
    """How one backbone learns. It ends after `steps` or `minutes`, whichever comes first, its rate near 0."""

    steps: int = Field(default=2000, ge=1, description="optimiser steps")
    minutes: float | None = Field(default=None, gt=0.0, description="most of them, however far it came")
    batch_size: int = Field(default=64, ge=1, description="scenes a step over all workers")
    learning_rate: float = Field(default=1e-3, gt=0.0, description="after warm-up, falling as a cosine")
    warmup_steps: int = Field(default=100, ge=0)
    weight_decay: float = Field(default=0.01, ge=0.0)
    max_grad_norm: float = Field(default=1.0, gt=0.0)
    ema_decay: float = Field(default=0.999, ge=0.0, lt=1.0, description="of the average that is kept")
    scenes: int = Field(default=8000, ge=1, description="images, and as many videos, that it learns from")
    checkpoint_minutes: float = Field(default=2.0, gt=0.0, description="between checkpoints")


class AutoencoderSection(LessonSection):
    """Wan's autoencoder: absolute and squared errors, a little KL so that latents stay near a normal."""

    learning_rate: float = Field(default=3e-3, gt=0.0)
    weight_decay: float = Field(default=0.0, ge=0.0)
    path: str | None = Field(
        default=None, description="take the one in this folder, or a shipped one by its name, and train none"
    )
    kl_weight: float = Field(default=1e-5, ge=0.0)
    images_first: float = Field(
        default=0.0, ge=0.0, lt=1.0, description="share of its time that it sees images alone, as Wan's did"
    )


class ReaderSection(LessonSection):
    """VILA's shape: tower, projector and language model, from questions, descriptions and rewritten requests.

    The tower without its last layer, which VILA does not read, also stands in for SigLIP2.
    """

    vocabulary: int = Field(default=512, ge=300, description="entries of the tokenizer, 256 bytes among them")
    questions: int = Field(default=4, ge=1, description="asked of each scene at once")


class PainterSection(LessonSection):
    """Wan's text-to-video transformer with its text encoder, both learning from Eq. 4."""

    captions: int = Field(default=4, ge=1, description="written for each scene")
    compile: bool | None = Field(
        default=None, description="the transformer's blocks, half a minute at first; left out: on GPUs"
    )
    caption_dropout: Annotated[float, Field(ge=0.0, le=1.0)] = 0.1
    time_distribution: TimeDistribution = Field(
        default="logit_normal",
        description="of the times of Eq. 4; uniform ones take half as long again",
    )


class BackbonesSection(_Section):
    """The three backbones and the world of shapes that they see."""

    size: int = Field(default=64, ge=32, multiple_of=16, description="pixels a side")
    num_frames: int = Field(default=9, ge=1, description="of videos, 4n+1; 1: images alone")
    simple: bool = Field(
        default=False, description="one large thing about the middle of every scene, told in a few words"
    )
    seed: int = Field(default=0, ge=0, description="of scenes, weights and batches")
    processes: int | None = Field(default=None, ge=1, description="that render; left out: one a core")
    autoencoder: AutoencoderSection = AutoencoderSection()
    reader: ReaderSection = ReaderSection()
    painter: PainterSection = PainterSection()

    @model_validator(mode="after")
    def _whole_strides(self) -> BackbonesSection:
        if self.num_frames % 4 != 1:
            raise ValueError(f"num_frames must be 4n+1, not {self.num_frames}")
        return self
