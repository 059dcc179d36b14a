"""Which frozen parts a model has: hashes of their weights and of what else decides what they say.

Weights are hashed tensor by tensor from the files, never loaded as a model: neither how they are divided into
files nor how large they are matters.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from training.checkpoints.atomic import write_json
from training.config import ModelSection
from training.encoding.values import Name, digest

PARTS: Mapping[Name, tuple[str, ...]] = {
    "targets": ("vision_tower",),
    "latents": ("vae",),
    "source_latents": ("vae",),
    "source_shown": (),
    "text": ("text_encoder",),
    "states": ("mllm", "vision_tower"),
    "visual": ("mllm", "vision_tower", "vision_head"),
}
"""The parts that make each value."""
SETTINGS: Mapping[Name, tuple[str, ...]] = {
    "targets": ("vision_head.tokens_per_frame", "vision_head.video_frames"),
    "latents": ("vae",),
    "source_latents": ("vae",),
    "source_shown": ("mllm.max_frames",),
    "text": ("text_encoder", "text_tokenizer"),
    "states": ("mllm", "tokenizer"),
    "visual": ("mllm", "vision_head", "tokenizer"),
}
"""What else decides it: keys of the model's configuration, and its tokenizers."""
TOKENIZERS = ("tokenizer", "text_tokenizer")


@dataclass(frozen=True)
class Identity:
    """Hashes of parts, and settings by their path; `encoder` is what values are addressed by."""

    parts: dict[str, str]
    settings: dict[str, Any]

    def encoder(self, name: Name) -> str:
        """Return one hash of all that makes a value, but for the sample."""
        parts = {part: self.parts[part] for part in PARTS[name]}
        return digest([parts, {path: self.settings[path] for path in SETTINGS[name]}])[:24]

    def with_part(self, part: str, folder: Path) -> Identity:
        """Return the same with one part as it is in another model's folder."""
        return replace(self, parts={**self.parts, part: part_sha256(folder / part)})


def identify(model: Path) -> Identity:
    """Return the identity of the model in a pipeline folder."""
    config = json.loads((model / "config.json").read_text())
    config |= {name: _files_sha256(model / name) for name in TOKENIZERS}
    paths = sorted({path for paths in SETTINGS.values() for path in paths})
    parts = sorted({part for parts in PARTS.values() for part in parts})
    return Identity(
        {part: part_sha256(model / part) for part in parts}, {path: _at(config, path) for path in paths}
    )


def of_origin(section: ModelSection) -> Identity:
    """Return the identity of the model that a run of this recipe starts from."""
    if section.path is not None:
        return identify(Path(section.path))
    from training.model.origin import write_initial_model

    with tempfile.TemporaryDirectory() as scratch:
        write_initial_model(section, Path(scratch) / "model")
        return identify(Path(scratch) / "model")


def remembered(model: Path, note: Path) -> Identity:
    """Return the identity of a model that never changes, written down in `note` the first time."""
    if not note.exists():
        found = identify(model)
        write_json(note, {"parts": found.parts, "settings": found.settings})
    return Identity(**json.loads(note.read_text()))


def part_sha256(folder: Path) -> str:
    """Return the SHA-256 over names, types, shapes and bytes of all tensors of a part."""
    import torch

    total = hashlib.sha256()
    for name, tensor in _tensors(folder):
        total.update(f"{name}:{tensor.dtype}:{tuple(tensor.shape)}:".encode())
        total.update(tensor.contiguous().view(-1).view(torch.uint8).numpy().data)
    return total.hexdigest()


def _tensors(folder: Path) -> Iterator[tuple[str, Any]]:
    from safetensors import safe_open

    where: dict[str, Path] = {}
    for path in sorted(folder.glob("*.safetensors")):
        with safe_open(path, "pt") as file:
            where.update(dict.fromkeys(file.keys(), path))
    for name in sorted(where):
        with safe_open(where[name], "pt") as file:
            yield name, file.get_tensor(name)


def _files_sha256(folder: Path) -> str:
    total = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        total.update(path.name.encode() + path.read_bytes())
    return total.hexdigest()


def _at(document: Mapping[str, Any], path: str) -> Any:
    found: Any = document
    for key in path.split("."):
        found = found[key]
    return found
