"""Captioners: who writes the new text condition of a clip. One file each, found by its name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field


class CaptionConfig(BaseModel):
    """Which captioner writes, if any."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    captioner: Literal["describe", "none"] = Field(
        default="describe",
        description="describe: a sentence from measured signals only, no model; none: no caption",
    )
    keep_original: bool = Field(
        default=False, description="a clip that came with a caption keeps it as its caption, too"
    )


class Captioner(Protocol):
    """Writes captions; each is bound to its clip by sample id, so that none can land on another clip."""

    name: str  # "<who>@<revision>", the `captioner` column

    def caption(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, str]:
        """Texts by sample id. A row is a ClipRecord with its `sample_id`."""
        ...


def load(config: CaptionConfig) -> Captioner | None:
    """The configured captioner, or None."""
    if config.captioner == "none":
        return None
    from curation.caption.describe import Describe

    return Describe()
