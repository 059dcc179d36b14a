"""The model that a run starts from: a preset with random weights, or a saved folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from omnivideo.build import PARTS
from omnivideo.config import OmniVideoConfig, preset
from omnivideo.errors import InputError
from omnivideo.model import OmniVideoModel
from training.checkpoints import export
from training.checkpoints.atomic import write_folder
from training.config import ModelSection

INDEX, CONFIG = "model_index.json", "config.json"


def write_initial_model(section: ModelSection, folder: Path) -> None:
    """Write the initial model to `folder`. Raises InputError if the recipe names none that exists."""
    check_origin(section)
    if section.path is None:
        model = OmniVideoModel.build(configuration(section), section.seed)
        write_folder(folder, model.save_pretrained)
    else:
        export.copy(Path(section.path), folder, share=False)


def check_origin(section: ModelSection) -> None:
    """Raise InputError if the recipe names no model that exists, or one that lacks a part."""
    if section.path is None:
        configuration(section)
        return
    folder, advice = Path(section.path), f"model.path must be a pipeline folder with a {INDEX}"
    if not (folder / INDEX).is_file():
        raise InputError(f"no model at {folder}", "model", advice)
    missing = [part for part in PARTS if not any((folder / part).glob("*.safetensors"))]
    if missing or not (folder / CONFIG).is_file():
        what = f"the model at {folder} lacks {', '.join(missing) or CONFIG}"
        raise InputError(what, "model", advice)


def configuration(section: ModelSection) -> OmniVideoConfig:
    """Return the shapes of a saved model, or the preset's with its overrides.

    Raises InputError for keys or values that it does not take.
    """
    if section.path is not None:
        return OmniVideoConfig.model_validate_json((Path(section.path) / CONFIG).read_text())
    document = preset(section.preset or "tiny").model_dump()
    for path, value in section.overrides.items():
        _override(document, path, value)
    try:
        return OmniVideoConfig.model_validate(document)
    except ValueError as error:
        raise InputError(f"model.overrides do not fit: {error}", "model", "correct model.overrides") from None


def _override(document: dict[str, Any], path: str, value: Any) -> None:
    *parents, last = path.split(".")
    section: Any = document
    for parent in parents:
        section = section.get(parent) if isinstance(section, dict) else None
    if not isinstance(section, dict) or last not in section:
        raise InputError(f"the model has no key {path}", "model", "correct model.overrides")
    section[last] = value
