"""Clips from fixed prompts while training: what a loss does not show.

In RUN/clips/<phase>-<step>/: an mp4 and an animated WebP of each prompt. Every worker makes its share of them
with the weights that would be exported; neither weights nor any randomness of the training are touched.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from training.config import StagesSection
from training.data.samples import frame_count
from training.stages import Phase

if TYPE_CHECKING:
    from omnivideo.model import OmniVideoModel
    from training.parallel.team import Team

WEBP_SIDE = 192  # pixels of the longer side: for the summary, and for TensorBoard
WEBP_FPS = 8.0


def make(
    model: OmniVideoModel, stages: StagesSection, phase: Phase, folder: Path, team: Team
) -> list[dict[str, str]]:
    """Make this step's clips in `folder`; return each one's prompt and files, in order of the prompts.

    Every worker calls this. Clips have the phase's frame rate and its longest length.
    """
    from omnivideo import media
    from omnivideo.pipeline import OmniVideoPipeline

    pipeline = OmniVideoPipeline.of(model)
    pipeline.set_progress_bar_config(disable=True)
    fps = phase.settings(stages).fps
    height, width = stages.video_sizes[0]
    mine = []
    for number in range(team.rank, len(stages.clips.prompts), team.size):
        prompt = stages.clips.prompts[number]
        with torch.autocast(team.device.type, torch.bfloat16):
            result = pipeline(
                prompt,
                height=height,
                width=width,
                num_frames=max(5, frame_count(max(stages.clip_seconds), fps)),
                fps=round(fps),
                steps=stages.clips.sampling_steps,
                generator=torch.Generator().manual_seed(stages.clips.seed + number),
            )
        file = media.save(result.frames[0], folder / f"{number:02d}.mp4", round(fps))
        file.with_suffix(".webp").write_bytes(animated(result.frames[0], fps))
        mine.append((number, prompt, file.name))
    made = sorted(row for rows in team.gather(mine) for row in rows)
    return [{"prompt": prompt, "file": f"{folder.name}/{name}"} for _, prompt, name in made]


def animated(frames: NDArray[np.uint8], fps: float, kind: str = "WEBP") -> bytes:
    """Return frames [T, H, W, 3] as a small animated picture."""
    step = max(1, round(fps / WEBP_FPS))
    images = [Image.fromarray(frame) for frame in frames[::step]]
    for image in images:
        image.thumbnail((WEBP_SIDE, WEBP_SIDE))
    buffer = io.BytesIO()
    duration = round(1000 * step / fps)
    images[0].save(
        buffer, kind, save_all=True, append_images=images[1:], duration=duration, loop=0, quality=70
    )
    return buffer.getvalue()


def as_gif(webp: bytes) -> bytes:
    """Return an animated WebP as the GIF that TensorBoard shows."""
    frames: list[Image.Image] = []
    with Image.open(io.BytesIO(webp)) as image:
        for number in range(getattr(image, "n_frames", 1)):
            image.seek(number)
            frames.append(image.convert("RGB"))
        duration = image.info.get("duration", 125)
    buffer = io.BytesIO()
    frames[0].save(buffer, "GIF", save_all=True, append_images=frames[1:], duration=duration, loop=0)
    return buffer.getvalue()


def wanted(stages: StagesSection, phase: Phase, step: int, steps: int) -> bool:
    """Tell whether clips are due after `step` of the phase's steps."""
    clips = stages.clips
    if not clips.prompts or phase.objective != "flow":
        return False
    return step == steps or (clips.every is not None and step % clips.every == 0)
