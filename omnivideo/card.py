"""The model card and lineage of a saved folder: what it is, how to run it, and where it comes from."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from omnivideo.config import OmniVideoConfig

ENCODERS = ("vision_tower", "vae", "text_encoder")  # what every stage leaves as it was

_HEAD = """---
library_name: diffusers
pipeline_tag: text-to-video
tags: [text-to-video, text-to-image, video-editing, video-text-to-text, omni-video]
---
# {title}

Video and image understanding, generation and instruction-based editing in one model, after
*Omni-Video: Democratizing Unified Video Understanding and Generation*: a multimodal language model predicts
continuous visual tokens, and an adapter makes them a diffusion transformer's condition.

```python
from omnivideo import OmniVideoPipeline
from omnivideo import media

pipeline = OmniVideoPipeline.from_pretrained("PATH")
result = pipeline("a red kite over the sea")                  # a video; num_frames=1 for an image
media.save(result.frames[0], "kite.mp4", result.fps)
edited = pipeline("make the kite blue", source="kite.mp4")
print(pipeline.ask("kite.mp4", "What is in the sky?"))
```
"""


def render_card(
    config: OmniVideoConfig,
    lineage: Mapping[str, Any],
    parameters: Mapping[str, int],
    title: str = "Omni-Video model",
) -> str:
    """Markdown with front matter; `lineage` may hold any JSON-like values, `parameters` counts by part."""
    defaults = config.generation
    rows = [f"| {name} | {count:,} |" for name, count in parameters.items()]
    total = sum(parameters.values())
    sections = [
        _HEAD.format(title=title),
        "\n".join(["## Parts", "| part | parameters |", "|---|---|", *rows, f"| **all** | {total:,} |"]),
        (
            "## Defaults\n"
            f"{defaults.num_frames} frames of {defaults.height}×{defaults.width} at {defaults.fps} fps. "
            f"Images: {defaults.image_steps} steps, guidance {defaults.image_guidance}; "
            f"videos: {defaults.video_steps} steps, guidance {defaults.video_guidance}. "
            f"At most {config.condition_budget} condition tokens; the instruction is never cut."
        ),
        "\n".join(["## Lineage", *(_listed(lineage) or ["Not recorded."])]),
    ]
    return "\n\n".join(section.strip() for section in sections) + "\n"


def describe(
    folder: str | Path,
    config: OmniVideoConfig,
    lineage: Mapping[str, Any],
    title: str = "Omni-Video model",
) -> Path:
    """Write README.md and lineage.json into a saved folder, the frozen encoders' hashes added to `lineage`;
    return the card's path.
    """
    from omnivideo.build import parameter_counts

    whole = {**lineage, "encoders": encoder_hashes(Path(folder))}
    _replace(Path(folder, "lineage.json"), json.dumps(whole, indent=2, default=str) + "\n")
    card = Path(folder, "README.md")
    _replace(card, render_card(config, _without_recipe(whole), parameter_counts(config), title))
    return card


def encoder_hashes(folder: Path) -> dict[str, str]:
    """SHA-256 of each weight file of the encoders that no stage trains, by its path in the folder."""
    files = sorted(file for part in ENCODERS for file in (folder / part).glob("*.safetensors"))
    return {file.relative_to(folder).as_posix(): _sha256(file) for file in files}


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _replace(path: Path, text: str) -> None:
    path.unlink(missing_ok=True)  # the old file may be a link into another model's folder
    path.write_text(text, encoding="utf-8")


def _without_recipe(lineage: Mapping[str, Any]) -> dict[str, Any]:
    """The card names the recipe by its hash; its hundreds of lines stand in lineage.json."""
    long = {"recipe", "request"} if "recipe_sha256" in lineage else set()
    return {key: value for key, value in lineage.items() if key not in long}


def _listed(value: Any, depth: int = 0) -> list[str]:
    indent = "  " * depth
    if isinstance(value, Mapping):
        items = [(f"{indent}- {key}:", entry) for key, entry in value.items()]
    else:
        items = [(f"{indent}-", entry) for entry in value]
    lines: list[str] = []
    for label, entry in items:
        if isinstance(entry, (Mapping, list, tuple)):
            lines += [label, *_listed(entry, depth + 1)]
        else:
            lines.append(f"{label} {_escaped(entry)}")
    return lines


def _escaped(value: Any) -> str:
    """One line of plain text: a caption or a path must not become markup."""
    text = " ".join(str(value).split())
    return text.replace("<", "&lt;").replace("`", "'")
