"""Pipeline folders of a run: what trained is written anew, what was frozen is the same files as before."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from omnivideo.model import OmniVideoModel


def export(base: Path, model: OmniVideoModel, trained: Iterable[str], folder: Path) -> None:
    """Write the model to `folder`, whole or not at all: parts `trained` from memory, the rest from `base`.

    Taking frozen parts over as files keeps their bytes and types, whatever they were cast to for computing.
    """
    partial = folder.with_name(folder.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    shutil.copytree(base, partial, copy_function=_link)
    parts: dict[str, Any] = dict(model.parts())
    for name in trained:
        shutil.rmtree(partial / name)  # never write into a linked file: it is the earlier model's too
        parts[name].save_pretrained(partial / name, safe_serialization=True)
    _replace(partial, folder)


def copy(base: Path, folder: Path) -> None:
    """Make `folder` the same model as `base`, sharing its files where the file system can."""
    partial = folder.with_name(folder.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    shutil.copytree(base, partial, copy_function=_link)
    _replace(partial, folder)


def save_new(model: OmniVideoModel, folder: Path) -> None:
    """Write a model as built."""
    partial = folder.with_name(folder.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.parent.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(partial)
    _replace(partial, folder)


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system, or one without hard links
        shutil.copy2(source, target)


def _replace(partial: Path, folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    partial.rename(folder)
