"""The model card of an exported folder: what it is, how to run it, and the lineage it was given."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from omnivideo.config import OmniVideoConfig

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


def write_card(
    folder: str | Path,
    config: OmniVideoConfig,
    lineage: Mapping[str, Any],
    title: str = "Omni-Video model",
) -> Path:
    """Write README.md into an exported folder and return its path."""
    from omnivideo.build import parameter_counts

    path = Path(folder) / "README.md"
    path.write_text(render_card(config, lineage, parameter_counts(config), title), encoding="utf-8")
    return path


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
