"""The model of *Omni-Video: Democratizing Unified Video Understanding and Generation*.

Importing the package loads neither torch nor diffusers; the classes below load on first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_HOMES = {
    "OmniVideoConfig": "omnivideo.config",
    "preset": "omnivideo.presets",
    "OmniVideoModel": "omnivideo.model",
    "OmniVideoPipeline": "omnivideo.pipeline",
}
__all__ = ["OmniVideoConfig", "OmniVideoModel", "OmniVideoPipeline", "preset"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'omnivideo' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
