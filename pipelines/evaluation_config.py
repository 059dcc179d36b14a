"""What a recipe says about judging a trained model."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, field_validator


class EvaluationSection(BaseModel):
    """How much is asked of the model, and how. What is None is as the model or the protocol has it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    parts: tuple[str, ...] = Field(
        default=(), description="image, video, image_edit, …, as `omnivideo evaluate --part`; all if empty"
    )
    limit: int | None = Field(default=None, ge=1, description="prompts of each category")
    image_samples: int | None = Field(default=None, ge=1, description="images a prompt")
    size: int | None = Field(default=None, ge=16, description="pixels a side")
    num_frames: int | None = Field(default=None, ge=5, description="4n+1, of videos")
    steps: int | None = Field(default=None, ge=1, description="of sampling")
    guidance_scale: float | None = Field(default=None, gt=0)
    batch: int | None = Field(default=None, ge=1, description="prompts at once")
    seed: int = Field(default=0, ge=0)

    @field_validator("parts")
    @classmethod
    def _known(cls, parts: tuple[str, ...]) -> tuple[str, ...]:
        if parts:
            from omnivideo.evaluation.run import PARTS

            unknown = sorted(set(parts) - set(PARTS))
            if unknown:
                raise ValueError(f"no part is called {unknown[0]!r}; there are {', '.join(PARTS)}")
        return parts

    def plan(self) -> dict[str, Any]:
        """The fields of the protocol's plan that are given here."""
        given = self.model_dump(exclude_none=True)
        return {name: given[name] for name in _PLAN if name in given}


_PLAN = ("limit", "image_samples", "size", "num_frames", "steps", "guidance_scale", "batch")
