"""Which revision of a model a folder holds, and that it holds nothing but safetensors."""

from __future__ import annotations

import functools
import hashlib
from pathlib import Path

from curation.caption.config import TransformersConfig


@functools.cache
def folder_digest(folder: str) -> str | None:
    """`sha256:` and 12 hex digits over all JSON and safetensors files by name; None if there is no folder."""
    root = Path(folder)
    if not root.is_dir():
        return None
    digest = hashlib.sha256()
    for path in sorted([*root.glob("*.json"), *root.glob("*.jinja"), *root.glob("*.safetensors")]):
        with path.open("rb") as file:
            one = hashlib.file_digest(file, "sha256").hexdigest()
        digest.update(f"{path.name}:{one}\n".encode())
    return f"sha256:{digest.hexdigest()[:12]}"


def revision_of(config: TransformersConfig) -> str | None:
    """The pinned commit of a hub id; of a folder the digest of its contents."""
    return config.revision or folder_digest(config.model)
