"""Which revision of a model writes the captions."""

from __future__ import annotations

from curation.caption.config import TransformersConfig
from curation.weights import folder_digest


def revision_of(config: TransformersConfig) -> str | None:
    """The pinned commit of a hub id; of a folder the digest of its contents."""
    return config.revision or folder_digest(config.model)
