"""From frame differences to spans: where a video is cut into clips."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class SplitConfig(BaseModel):
    """How a video is cut into clips. Images are never split."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: Literal["content", "adaptive", "none"] = Field(
        default="content",
        description="PySceneDetect's ContentDetector or AdaptiveDetector, or no cut but the longest length",
    )
    threshold: float | None = Field(
        default=None, gt=0, description="detector's threshold; None is PySceneDetect's: content 27, adaptive 3"
    )
    min_scene_frames: int = Field(
        default=15, ge=1, description="cuts closer than this are one (PySceneDetect's and Data-Juicer's default)"
    )
    min_seconds: float = Field(
        default=0.5, ge=0, description="shorter clips are rejected by `split` as too_short, without being scored"
    )
    max_seconds: float = Field(
        default=20.0, gt=0, le=120, description="longer scenes are cut into equal parts (bounds the memory, too)"
    )
    trim_frames: int = Field(
        default=0, ge=0, description="frames dropped at both ends of a scene, against cross-fades"
    )
