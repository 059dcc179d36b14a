"""The world of shapes as arrays: many scenes with their pixels, rendered by several processes."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Literal

import numpy as np

from omnivideo.shapes.render import Pixels, render
from omnivideo.shapes.sampling import Split, generator, sample_scene
from omnivideo.shapes.scene import Scene

FEW = 3000  # scenes that one process renders sooner than others are started
CHUNK = 250


@dataclass(frozen=True)
class View:
    """What is asked for: images (`num_frames` 1) or videos of `size` pixels a side."""

    size: int
    num_frames: int
    seed: int
    purpose: str
    split: Split = "train"
    simple: bool = False

    @property
    def kind(self) -> Literal["image", "video"]:
        """One frame is an image."""
        return "image" if self.num_frames == 1 else "video"


@dataclass(frozen=True)
class World:
    """Scenes, and their frames [N, T, H, W, 3], uint8."""

    view: View
    scenes: list[Scene]
    frames: Pixels


def make_world(view: View, count: int, processes: int = 1) -> World:
    """Return `count` scenes that follow from the view alone, whatever the number of processes."""
    shape = (count, view.num_frames, view.size, view.size, 3)
    if count <= FEW or processes == 1:
        frames = np.empty(shape, np.uint8)
        return World(view, _fill(view, frames, range(count)), frames)
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder, "frames.npy"))
        frames = np.lib.format.open_memmap(path, "w+", np.uint8, shape)
        spans = [range(start, min(start + CHUNK, count)) for start in range(0, count, CHUNK)]
        with ProcessPoolExecutor(processes, get_context("spawn")) as pool:  # the caller may have threads
            parts = list(pool.map(partial(_fill_file, view, path), spans))
        return World(view, [scene for part in parts for scene in part], np.array(frames))


def _fill_file(view: View, path: str, numbers: Sequence[int]) -> list[Scene]:
    return _fill(view, np.lib.format.open_memmap(path, "r+"), numbers)


def _fill(view: View, frames: Pixels, numbers: Sequence[int]) -> list[Scene]:
    scenes = []
    for number in numbers:
        rng = generator("backbones", view.purpose, view.seed, view.split, view.kind, number)
        scene = sample_scene(rng, view.split, view.num_frames > 1, simple=view.simple)
        frames[number] = render(scene, view.size, view.num_frames)
        scenes.append(scene)
    return scenes
