"""Trains the network on overlays over photographs: `python -m tests.benchmarks.marks.train PHOTOS PARTS OUT`.

PHOTOS has `train/` and `val/` with pictures, PARTS `fonts/` and `logos/`; which ones made the network that
comes with the package is in LOG.md. `export` writes it as `curation/marks/overlay.onnx.xz`.
"""

from __future__ import annotations

import argparse
import copy
import json
import math
import os
import random
import sys
import threading
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import DataLoader, IterableDataset

from tests.benchmarks.marks.draw import KINDS, Parts, overlay, parts
from tests.benchmarks.marks.network import WIDTH, Marker, inputs, of_picture
from tests.benchmarks.marks.scenes import PHOTOGRAPH, Examples, Pictures, Scenes, examples

# What a picture is shown at, and at what scale an overlay is drawn: it must not be sharper than pictures are.
SIZES = ((640, 368), (640, 480), (480, 640))
SCALES = (0.4, 0.5, 0.6, 0.7, 0.85, 1.0)
DRAWN = 16  # overlays at once
NAMES = list(KINDS)
Bucket = tuple[tuple[int, int], tuple[int, int]]  # shown and drawn at: width and height
BUCKETS: list[Bucket] = [
    (size, (round(size[0] * scale / 16) * 16, round(size[1] * scale / 16) * 16))
    for size in SIZES
    for scale in SCALES
]


class Layers(IterableDataset[tuple[int, Tensor, Tensor]]):
    """Overlays without an end: their bucket, [DRAWN,4,H,W] and [DRAWN] kinds."""

    def __init__(self, made_of: Parts, seed: int) -> None:
        self.made_of, self.seed = made_of, seed

    def __iter__(self) -> Iterator[tuple[int, Tensor, Tensor]]:
        worker = torch.utils.data.get_worker_info()
        number = worker.id if worker else 0
        dice = random.Random(f"{self.seed} {number}")
        for turn in count(number * 5):
            bucket = turn % len(BUCKETS)
            kinds, layers = zip(
                *(overlay(dice, BUCKETS[bucket][1], self.made_of) for _ in range(DRAWN)), strict=True
            )
            stacked = torch.from_numpy(np.stack(layers)).permute(0, 3, 1, 2).contiguous()
            yield bucket, stacked, torch.tensor([NAMES.index(kind) for kind in kinds])


class Pool:
    """The newest so many examples of something; what is taken from it is random."""

    def __init__(self, most: int) -> None:
        self.most, self.held, self.added = most, list[Tensor](), 0

    def add(self, *parts_of: Tensor) -> None:
        """Some, each part [N,...]; those before are forgotten first."""
        if not self.held:
            self.held = [part.new_zeros(self.most, *part.shape[1:]) for part in parts_of]
        where = torch.arange(self.added, self.added + len(parts_of[0])) % self.most
        for held, part in zip(self.held, parts_of, strict=True):
            held[where.to(held.device)] = part
        self.added += len(parts_of[0])

    def drawn(self, number: int) -> list[Tensor]:
        """So many, some perhaps twice."""
        full = min(self.added, self.most)
        where = torch.randint(full, (number,), device=self.held[0].device)
        return [held[where] for held in self.held]


class Source:
    """Batches of one size each: scenes made here, overlays drawn by other processes meanwhile."""

    def __init__(self, folder: Path, made_of: Parts, given: argparse.Namespace, seed: int) -> None:
        self.given, self.pictures = given, Pictures.opened(folder, given.device)
        self.layers = [Pool(given.held) for _ in BUCKETS]
        self.scenes = [Pool(given.held) for _ in BUCKETS]
        drawn = DataLoader(
            Layers(made_of, seed), batch_size=None, num_workers=given.workers, prefetch_factor=4
        )
        self.ended = False
        threading.Thread(target=self._collect, args=(drawn,), daemon=True).start()
        while not all(pool.added for pool in self.layers):
            time.sleep(0.1)

    def _collect(self, drawn: DataLoader[tuple[int, Tensor, Tensor]]) -> None:
        aside = torch.cuda.Stream() if self.given.device == "cuda" else None  # else copies wait for steps
        with torch.cuda.stream(aside):
            for bucket, layers, kinds in drawn:
                self.layers[bucket].add(layers.to(self.given.device), kinds.to(self.given.device))
                if self.ended:
                    return
                time.sleep(0.015)  # what is enough to see most overlays once

    def batch(self, number: int) -> tuple[Examples, Tensor, Tensor]:
        """Examples, and of each its medium and the kind of what was to be laid over it."""
        at = random.randrange(len(BUCKETS))
        size, small = BUCKETS[at]
        if not self.scenes[at].added or random.random() < 1 / self.given.reuse:
            made = self.pictures.scenes(number, small)
            self.scenes[at].add(made.mean.byte(), made.change.half(), made.medium)
        mean, change, medium = self.scenes[at].drawn(number)
        scenes = Scenes(mean.float(), change.float(), medium)
        layers, kinds = self.layers[at].drawn(number)
        wanted = torch.rand(number, device=mean.device) < 0.5
        return examples(scenes, layers.float(), wanted, size), medium, kinds


def loss_of(logits: Tensor, marked: Tensor, overlaid: Tensor) -> Tensor:
    """Cross entropy of the cells that can be told, and of whole pictures."""
    told = (marked >= 0).float()
    target = marked.clamp(0, 1)
    weight = told * (1 + 2 * target)
    cells = F.binary_cross_entropy_with_logits(logits[:, 0], target, weight)
    whole = F.binary_cross_entropy_with_logits(of_picture(logits), overlaid.float())
    return 4 * cells + whole


def judged(model: Marker, batches: list[tuple[Examples, Tensor, Tensor]]) -> dict[str, object]:
    """Recall of each kind where one, two and five clean pictures in a hundred are called overlaid."""
    scores: dict[str, list[float]] = {}
    model.eval()
    with torch.inference_mode():
        for made, *told in batches:
            found = of_picture(model(inputs(made.mean, made.change)).float())
            rows = torch.stack((*told, made.overlaid), dim=1).tolist()
            for (medium, kind, overlaid), score in zip(rows, found.tolist(), strict=True):
                shown = "photo " if medium == PHOTOGRAPH else "clip "
                scores.setdefault(shown + (NAMES[kind] if overlaid else ""), []).append(score)
    report: dict[str, object] = {}
    for shown in ("photo ", "clip "):
        limits = np.quantile(scores[shown], (0.99, 0.98, 0.95))
        report[shown + "limits"] = [round(float(limit), 2) for limit in limits]
        for name in NAMES:
            reached = np.array(scores.get(shown + name, [0.0]))
            shares = [round(float((reached > limit).mean()), 3) for limit in limits]
            report[shown + name] = [len(reached), *shares]
    return report


def varied(made: Examples) -> tuple[Tensor, Tensor]:
    """What the network takes of a batch, and its cells: mirrored, lighter, of other contrast."""
    shown, marked = inputs(made.mean, made.change), made.marked
    shape = (len(shown), 1, 1, 1)
    gain = torch.empty(shape, device=shown.device).uniform_(0.75, 1.25)
    more = torch.empty(shape, device=shown.device).uniform_(-0.3, 0.3)
    shown[:, :3] = shown[:, :3] * gain + more + 0.01 * torch.randn_like(shown[:, :3])
    if torch.rand(()) < 0.5:
        shown, marked = shown.flip(3), marked.flip(2)
    return shown.contiguous(memory_format=torch.channels_last), marked


def arguments() -> argparse.Namespace:
    """What the command line asks for."""
    asked = argparse.ArgumentParser()
    asked.add_argument("pictures", type=Path)
    asked.add_argument("parts", type=Path)
    asked.add_argument("out", type=Path)
    asked.add_argument("--seconds", type=float, default=900)
    asked.add_argument("--width", type=float, default=WIDTH)
    asked.add_argument("--start", type=Path, help="weights to go on from")
    asked.add_argument("--workers", type=int, default=max(1, (os.cpu_count() or 1) - 1))
    asked.add_argument("--batch", type=int, default=128)
    asked.add_argument("--reuse", type=int, default=4, help="times that a scene is shown")
    asked.add_argument("--held", type=int, default=768, help="scenes and overlays of each size")
    asked.add_argument("--validation", type=int, default=0, help="batches")
    asked.add_argument("--rate", type=float, default=3e-3)
    asked.add_argument("--compile", action="store_true", help="a minute's start for faster steps")
    asked.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    return asked.parse_args()


class Trainee:
    """A network, the mean of its weights over the last steps, and its optimiser."""

    def __init__(self, given: argparse.Namespace) -> None:
        self.device, self.rate = given.device, given.rate
        self.model = Marker(given.width).to(given.device, memory_format=torch.channels_last)
        if given.start:
            held = torch.load(given.start, map_location=given.device, weights_only=True)
            self.model.load_state_dict(held, strict=False)  # of a network of fewer blocks, too
        self.average = copy.deepcopy(self.model)
        if given.compile:
            self.model.compile(dynamic=False)  # sizes are few
        self.optimiser = torch.optim.AdamW(self.model.parameters(), lr=given.rate, weight_decay=0.02)

    def step(self, number: int, share: float, shown: Tensor, marked: Tensor, overlaid: Tensor) -> Tensor:
        """One step, its number and `share` of the time gone; gives the loss."""
        rate = self.rate * min(1, (number + 1) / 200) * (0.01 + 0.99 * (1 + math.cos(math.pi * share)) / 2)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        with torch.autocast(self.device, torch.bfloat16):
            logits = self.model(shown)
        loss = loss_of(logits.float(), marked, overlaid)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)
        self._follow(min(0.998, number / (number + 20)))
        return loss

    @torch.no_grad()
    def _follow(self, kept: float) -> None:
        old, new = (list(model.state_dict().values()) for model in (self.average, self.model))
        floats = [at for at, values in enumerate(old) if values.is_floating_point()]
        torch._foreach_lerp_([old[at] for at in floats], [new[at] for at in floats], 1 - kept)


def trained(given: argparse.Namespace, source: Source) -> tuple[Marker, int]:
    """The mean of weights after so many seconds, and how many steps these were."""
    trainee = Trainee(given)
    started, step = time.monotonic(), 0
    while (share := (time.monotonic() - started) / given.seconds) < 1:
        made, *_ = source.batch(given.batch)
        shown, marked = varied(made)
        loss = trainee.step(step, share, shown, marked, made.overlaid)
        step += 1
        if step % 100 == 0:
            spent, drawn = share * given.seconds, sum(pool.added for pool in source.layers)
            print(f"{spent:.0f} s, step {step}, {drawn} overlays, loss {loss.item():.3f}", flush=True)
        if step % 500 == 0:
            torch.save(trainee.average.state_dict(), given.out / "marker.pt")
    return trainee.average, step


def main() -> None:
    """Train, judge and save as the command line asks."""
    given = arguments()
    given.out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(2)
    sys.setswitchinterval(5e-4)  # seconds: steps wait less for what collects overlays
    made_of = parts(given.parts)
    source = Source(given.pictures / "train", made_of, given, random.randrange(1 << 30) if given.start else 0)
    model, step = trained(given, source)
    source.ended = True
    torch.save(model.state_dict(), given.out / "marker.pt")
    report: dict[str, object] = {"steps": step, "batch": given.batch, "reuse": given.reuse}
    if given.validation:
        held = Source(given.pictures / "val", made_of, given, 1)
        batches = [held.batch(given.batch) for _ in range(given.validation)]
        report |= judged(model, batches)
    print(json.dumps(report), flush=True)
    os._exit(0)  # what draws overlays has no end


if __name__ == "__main__":
    main()
