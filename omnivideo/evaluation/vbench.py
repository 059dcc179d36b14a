"""Videos for VBench's custom-video mode (Huang et al. 2024, github.com/Vchitect/VBench).

Its input is a folder of videos named `PROMPT-INDEX.mp4`, and a prompt file that maps each path to its prompt:

    vbench evaluate --mode=custom_input --videos_path DIR/videos --prompt_file DIR/prompts.json ...
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from omnivideo import media
from omnivideo.evaluation import prompts
from omnivideo.evaluation.protocol import TAGS

if TYPE_CHECKING:
    from omnivideo.evaluation.run import Plan
    from omnivideo.pipeline import OmniVideoPipeline

LONGEST_NAME = 180  # characters; file systems allow 255 bytes
SAMPLES = 5  # VBench's own count of videos a prompt


def export(
    pipeline: OmniVideoPipeline,
    plan: Plan,
    folder: str | Path,
    asked: Sequence[str] = (),
    samples: int = SAMPLES,
) -> int:
    """Write `videos/` and `prompts.json` below `folder`; return how many videos. By default, of shapes."""
    from omnivideo.evaluation.run import noise

    root = Path(folder)
    wanted = list(asked) or [one["prompt"] for tag in (*TAGS, "motion") for one in prompts.of_category(tag)]
    wanted = list(dict.fromkeys(wanted))[: plan.limit]
    told: dict[str, str] = {}
    for number, prompt in enumerate(wanted):
        for index in range(samples):
            made = pipeline(
                prompt,
                num_frames=plan.num_frames,
                height=plan.size,
                width=plan.size,
                steps=plan.steps,
                guidance_scale=plan.guidance_scale,
                generator=noise(plan.seed, number * samples + index),
            )
            path = root / "videos" / f"{_name(prompt)}-{index}.mp4"
            told[str(media.save(made.frames[0], path, made.fps))] = prompt
    (root / "prompts.json").write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
    return len(told)


def _name(prompt: str) -> str:
    """A prompt as a file's name: as it is, but for what a path cannot hold."""
    return re.sub(r"[/\\\x00-\x1f]", " ", prompt)[:LONGEST_NAME].strip(" .") or "prompt"
