"""What the autoencoder is shown, and when."""

from __future__ import annotations

import torch

from omnivideo.build import build_part
from omnivideo.presets import preset
from training.backbones.autoencoder import AutoencoderLesson
from training.backbones.config import AutoencoderSection
from training.backbones.world import View, make_world


def test_images_come_first_and_then_mostly_videos() -> None:
    """Before its share of the way is over only images are drawn; after it videos too, and more often."""
    worlds = [make_world(View(32, frames, 0, "learning"), 4) for frames in (1, 5)]
    vae = build_part("vae", preset("tiny"), 0)
    settings = AutoencoderSection(images_first=0.5)
    lesson = AutoencoderLesson(vae, settings, worlds, [], torch.device("cpu"))
    random = torch.Generator().manual_seed(0)
    early = {lesson.draw(random, 4, 0.49).kind for _ in range(20)}
    late = [lesson.draw(random, 4, 0.5).kind for _ in range(40)]
    assert early == {"1 frames"}
    assert late.count("5 frames") > late.count("1 frames") > 0
