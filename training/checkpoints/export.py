"""Pipeline folders of a run: what trained is written anew, what was frozen is the same files as before."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omnivideo.card import describe
from omnivideo.lora import FOLDER
from training.checkpoints.atomic import write_folder

if TYPE_CHECKING:
    from omnivideo.lora import Lora
    from omnivideo.model import OmniVideoModel


def export(
    base: Path,
    model: OmniVideoModel,
    trained: Iterable[str],
    folder: Path,
    lineage: Mapping[str, Any] | None = None,
    adapted: Lora | None = None,
) -> None:
    """Write the model to `folder`: parts `trained` from memory, all else as files from `base`, and a card and
    lineage file that say where it comes from; beside them, apart, what `adapted` the transformer.

    Taking frozen parts over as files keeps their bytes and types, whatever they were cast to for computing.
    """
    parts: dict[str, Any] = dict(model.parts())
    # A LoRA of the base was merged into the weights when they were loaded: it is written with them.
    written = {*trained, *(["dit"] if adapted and (base / FOLDER).exists() else [])}

    def write(partial: Path) -> None:
        shutil.copytree(base, partial, copy_function=_link)
        if "dit" in written:
            shutil.rmtree(partial / FOLDER, ignore_errors=True)
        if adapted:
            adapted.save(partial / FOLDER)
        for name in sorted(written):
            shutil.rmtree(partial / name)  # never write into a linked file: it is the earlier model's too
            parts[name].save_pretrained(partial / name, safe_serialization=True)
        describe(partial, model.config, lineage or {})

    write_folder(folder, write)


def copy(base: Path, folder: Path, share: bool = True) -> None:
    """Make `folder` the same model as `base`; with `share`, by the same files where the file system can."""
    function = _link if share else shutil.copy2
    write_folder(folder, lambda partial: shutil.copytree(base, partial, copy_function=function))


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system, or one without hard links
        shutil.copy2(source, target)
