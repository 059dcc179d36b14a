"""Captioners: who writes the new text condition of a clip.

Describing from measured signals goes along with cutting. Models that look at frames are asked apart, by
workers of their own (`curation.steps.recaption`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from curation.caption.config import CaptionConfig

__all__ = ["ORIGINAL", "SCORES", "CaptionConfig", "Captioner", "load", "signature"]

ORIGINAL = "original"  # the captioner of a text that came with its clip
SCORES = ("caption_attempts", "caption_copied_text", "caption_instruction")  # of clips that a model captioned


class Captioner(Protocol):
    """Writes captions; each is bound to its clip by sample id, so that none can land on another clip."""

    name: str  # "<who>@<revision>", the `captioner` column

    def caption(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, str]:
        """Texts by sample id. A row is a ClipRecord with its `sample_id`."""
        ...


def load(config: CaptionConfig) -> Captioner | None:
    """The captioner that needs no model, or None if there is none or a model is to be asked."""
    if config.captioner != "describe":
        return None
    from curation.caption.describe import Describe

    return Describe()


def signature(config: CaptionConfig) -> str | None:
    """The `captioner` column that this configuration leads to, as far as it is known before any work."""
    if config.captioner == "http" and config.http:
        return config.signed(config.http.model, config.http.revision)
    if config.captioner == "transformers" and config.transformers:
        from curation.caption.weights import revision_of

        return config.signed(config.transformers.model, revision_of(config.transformers))
    captioner = load(config)
    return captioner.name if captioner else None
