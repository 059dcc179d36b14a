"""Trains the network on overlays over photographs: `python -m tests.benchmarks.marks.train PHOTOS PARTS OUT`.

PHOTOS has `train/` and `val/` with grey JPEGs, PARTS `fonts/` and `logos/`; which ones made the network that
comes with the package is in LOG.md. `export` writes it as `curation/marks/overlay.onnx`.
"""

from __future__ import annotations

import argparse
import copy
import json
import os
import random
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import DataLoader, IterableDataset

from tests.benchmarks.marks.draw import KINDS, Parts, parts
from tests.benchmarks.marks.network import Marker, inputs, of_picture
from tests.benchmarks.marks.scenes import example

SIZES = ((640, 368), (640, 480))
CODED = 45.0  # steps of the logarithm that a deviation is held in
Batch = tuple[Tensor, Tensor, Tensor, list[str]]


class Examples(IterableDataset[Batch]):
    """Batches without an end, each of one size."""

    def __init__(self, pictures: list[Image.Image], made_of: Parts, batch: int, seed: int) -> None:
        self.pictures, self.made_of, self.batch, self.seed = pictures, made_of, batch, seed

    def __iter__(self) -> Iterator[Batch]:
        worker = torch.utils.data.get_worker_info()
        dice = random.Random(f"{self.seed} {worker.id if worker else 0}")
        while True:
            size = dice.choice(SIZES)
            made = [example(dice, self.pictures, self.made_of, size) for _ in range(self.batch)]
            yield (
                torch.from_numpy(np.stack([one.mean.round().astype(np.uint8) for one in made])),
                torch.from_numpy(np.stack([_coded(one.change) for one in made])),
                torch.from_numpy(np.stack([one.marked for one in made])).to(torch.int8),
                [("photo " if one.change.max() == 0 else "clip ") + one.kind for one in made],
            )


def _coded(change: NDArray[np.float32]) -> NDArray[np.uint8]:
    return (np.log1p(change) * CODED).round().astype(np.uint8)


def taken(mean: Tensor, change: Tensor) -> Tensor:
    """What the network takes, of a batch's bytes."""
    shown = inputs(mean.float(), torch.expm1(change.float() / CODED))
    return shown.contiguous(memory_format=torch.channels_last)


def opened(folder: Path) -> list[Image.Image]:
    """All pictures of a folder, grey, in memory."""
    return [Image.open(path).convert("L") for path in sorted(folder.iterdir())]


def loss_of(logits: Tensor, marked: Tensor, overlaid: Tensor) -> Tensor:
    """Cross entropy of the cells that can be told, and of whole pictures."""
    told = (marked >= 0).float()
    target = marked.clamp(0, 1).float()
    weight = told * (1 + 2 * target)
    cells = F.binary_cross_entropy_with_logits(logits[:, 0], target, weight)
    whole = F.binary_cross_entropy_with_logits(of_picture(logits), overlaid.float())
    return 4 * cells + 0.5 * whole


def judged(model: Marker, batches: list[Batch], device: str) -> dict[str, object]:
    """Recall of each kind where one, two and five clean pictures in a hundred are called overlaid."""
    scores: dict[str, list[float]] = {}
    model.eval()
    with torch.inference_mode():
        for mean, change, _, kinds in batches:
            found = of_picture(model(taken(mean.to(device), change.to(device))).float())
            for kind, score in zip(kinds, found.tolist(), strict=True):
                scores.setdefault(kind, []).append(score)
    model.train()
    report: dict[str, object] = {}
    for medium in ("photo ", "clip "):
        limits = np.quantile(scores[medium], (0.99, 0.98, 0.95))
        report[medium + "limits"] = [round(float(limit), 2) for limit in limits]
        for kind in KINDS:
            found = np.array(scores.get(medium + kind, [0.0]))
            shares = [round(float((found > limit).mean()), 3) for limit in limits]
            report[medium + kind] = [len(found), *shares]
    return report


def varied(mean: Tensor, change: Tensor, marked: Tensor) -> tuple[Tensor, Tensor]:
    """What the network takes of a batch's bytes, and the cells: mirrored, lighter, of other contrast."""
    shown = taken(mean, change)
    shape = (len(shown), 1, 1)
    gain = torch.empty(shape, device=shown.device).uniform_(0.75, 1.25)
    more = torch.empty(shape, device=shown.device).uniform_(-0.3, 0.3)
    shown[:, 0] = shown[:, 0] * gain + more + 0.01 * torch.randn_like(shown[:, 0])
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
    asked.add_argument("--width", type=float, default=1.0)
    asked.add_argument("--start", type=Path, help="weights to go on from")
    asked.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    asked.add_argument("--batch", type=int, default=128)
    asked.add_argument("--reuse", type=int, default=4, help="steps for each new batch")
    asked.add_argument("--held", type=int, default=12, help="batches that steps choose from")
    asked.add_argument("--validation", type=int, default=0, help="batches")
    asked.add_argument("--rate", type=float, default=3e-3)
    asked.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    return asked.parse_args()


def follow(average: Marker, model: Marker, kept: float) -> None:
    """Moves the mean of weights towards the weights."""
    for old, new in zip(average.state_dict().values(), model.state_dict().values(), strict=True):
        if old.is_floating_point():
            old.lerp_(new, 1 - kept)
        else:
            old.copy_(new)


def trained(given: argparse.Namespace, source: Iterator[Batch]) -> tuple[Marker, int]:
    """The mean of weights after so many seconds, and how many steps these were."""
    model = Marker(given.width).to(given.device, memory_format=torch.channels_last)
    if given.start:
        model.load_state_dict(torch.load(given.start, map_location=given.device, weights_only=True))
    average = copy.deepcopy(model)
    optimiser = torch.optim.AdamW(model.parameters(), lr=given.rate, weight_decay=0.02)
    started, step, held = time.monotonic(), 0, []
    while (share := (time.monotonic() - started) / given.seconds) < 1:
        if step % given.reuse == 0:
            *parts_of, kinds = next(source)
            overlaid = torch.tensor([not kind.endswith(" ") for kind in kinds])
            held = [*held[1 - given.held :], [part.to(given.device) for part in (*parts_of, overlaid)]]
        rate = given.rate * min(1, (step + 1) / 200) * (0.01 + 0.99 * (1 + np.cos(np.pi * share)) / 2)
        for group in optimiser.param_groups:
            group["lr"] = rate
        mean, change, marked, overlaid = random.choice(held)
        shown, marked = varied(mean, change, marked)
        with torch.autocast(given.device, torch.bfloat16):
            logits = model(shown)
        loss = loss_of(logits.float(), marked, overlaid)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        follow(average, model, min(0.998, step / (step + 20)))
        step += 1
        if step % 50 == 0:
            spent = share * given.seconds
            print(f"{spent:.0f} s, step {step}, rate {rate:.4f}, loss {loss.item():.3f}", flush=True)
    return average, step


def main() -> None:
    """Train, judge and save as the command line asks."""
    given = arguments()
    given.out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(2)
    made_of = parts(given.parts)

    def batches(folder: str, seed: int) -> Iterator[Batch]:
        data = Examples(opened(given.pictures / folder), made_of, given.batch, seed)
        return iter(DataLoader(data, batch_size=None, num_workers=given.workers, prefetch_factor=2))

    model, step = trained(given, batches("train", random.randrange(1 << 30) if given.start else 0))
    torch.save(model.state_dict(), given.out / "marker.pt")
    report: dict[str, object] = {"steps": step, "batch": given.batch, "reuse": given.reuse}
    if given.validation:
        source = batches("val", 1)
        report |= judged(model, [next(source) for _ in range(given.validation)], given.device)
    print(json.dumps(report), flush=True)


if __name__ == "__main__":
    main()
