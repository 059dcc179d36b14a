"""Pictures of a proof: grids of what a model made, right and wrong, and curves of what it learned."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image, ImageOps

from training.run import entries

RIGHT, WRONG, SOURCE = "#080", "#c00", "#888"
BORDER, GAP, LONGEST_LINE = 2, 4, 12
CURVE_POINTS = 150
WIDTH, HEIGHT, LEFT, TOP = 210, 130, 45, 25  # of a curve, and what is left free beside it
NAMES = {
    **{"backbone-autoencoder": "autoencoder", "backbone-reader": "reader", "backbone-painter": "painter"},
    **{"stage-1": "stage 1", "stage-2-align": "stage 2, alignment"},
    **{"stage-2-flow": "stage 2, flow", "stage-3": "stage 3"},
}


class Sample(NamedTuple):
    """A prompt and a column of framed pictures: what was given, then what was made of it."""

    told: str
    column: list[Image.Image]


def draw(results: Path, seed: str, folder: Path) -> None:
    """Write a seed's grids and curves to `folder`; print what each grid shows, in order."""
    folder.mkdir(parents=True, exist_ok=True)
    for part in ("image", "video", "image_edit", "video_edit", "think"):
        shown = samples(results / "scores" / seed / "final", part)
        if part == "think":
            shown = compared(shown)
        if shown:
            grid(shown).save(folder / f"samples-{part.replace('_', '-')}.webp", quality=50, method=6)
            print(f"{part}: {'; '.join(sample.told for sample in shown)}", flush=True)
    for name, log in (("backbones", "backbones-metrics.jsonl"), ("stages", "metrics.jsonl")):
        path = results / "runs" / seed / log
        if path.exists():
            (folder / f"curves-{name}.svg").write_text(curves(path))


def samples(folder: Path, part: str) -> list[Sample]:
    """Return the samples of a part whose frames were kept."""
    told = folder / f"{part}-samples.json"
    if not told.exists():
        return []
    with np.load(folder / f"{part}-samples.npz") as kept:
        records = enumerate(json.loads(told.read_text()))
        return [Sample(said["prompt"], list(column(kept, i, said["correct"]))) for i, said in records]


def column(kept: Any, number: int, correct: bool) -> Iterator[Image.Image]:
    """Yield pictures of one sample: of a source, gray, before those made; of a video some frames."""
    given = f"source{number}"
    for name, color in ((given, SOURCE), (f"made{number}", RIGHT if correct else WRONG)):
        if name in kept:
            frames = kept[name]
            few = 1 if len(frames) == 1 else 2 if given in kept else 3
            for place in np.linspace(0, len(frames) - 1, few).round().astype(int):
                yield ImageOps.expand(Image.fromarray(frames[place]), BORDER, color)


def compared(shown: Sequence[Sample]) -> list[Sample]:
    """Put what thinking made of a prompt below what was made of it at once, where both were kept."""
    plain = {sample.told: sample for sample in shown}
    thought = (sample for sample in shown if " → " in sample.told)
    return [
        Sample(sample.told, [*plain[asked].column, *sample.column])
        for sample in thought
        if (asked := sample.told.split(" → ")[0]) in plain
    ]


def grid(shown: Sequence[Sample]) -> Image.Image:
    """Place columns side by side, in lines of equal length."""
    width, height = shown[0].column[0].size
    tall = max(len(sample.column) for sample in shown)
    lines = math.ceil(len(shown) / LONGEST_LINE)
    across = math.ceil(len(shown) / lines)
    size = (across * (width + GAP) - GAP, lines * tall * (height + GAP) - GAP)
    page = Image.new("RGB", size, "white")
    for number, sample in enumerate(shown):
        line, place = divmod(number, across)
        for row, picture in enumerate(sample.column):
            page.paste(picture, (place * (width + GAP), (line * tall + row) * (height + GAP)))
    return page


def curves(log: Path) -> str:
    """Return an SVG of each phase's loss, its means over short spans, on a logarithmic scale."""
    losses: dict[str, list[tuple[int, float]]] = {}
    for entry in entries(log):
        if entry["kind"] == "step" and entry["loss"] is not None:
            losses.setdefault(entry["phase"], []).append((entry["step"], entry["loss"]))
    phases = [name for name in NAMES if name in losses]
    wide, high = 2 * LEFT - 30 + WIDTH, HEIGHT + 2 * TOP + 10
    drawn = "\n".join(curve(NAMES[name], losses[name], place * wide) for place, name in enumerate(phases))
    size = f'width="{len(phases) * wide}" height="{high}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="11">'
    return f'{head}<rect width="100%" height="100%" fill="white"/>\n{drawn}\n</svg>\n'


def curve(name: str, losses: Sequence[tuple[int, float]], offset: int) -> str:
    """Return one phase's curve with its axes."""
    last = losses[-1][0]
    parts = np.array_split(np.array(losses), min(CURVE_POINTS, len(losses)))
    means = [part.mean(axis=0) for part in parts]
    low, high = (choose(math.log(mean[1]) for mean in means) for choose in (min, max))
    left, bottom = offset + LEFT, TOP + HEIGHT
    spread = max(high - low, 1e-9)
    points = " ".join(
        f"{left + WIDTH * step / last:.1f},{bottom - HEIGHT * (math.log(loss) - low) / spread:.1f}"
        for step, loss in means
    )
    ticks = "".join(
        f'<text x="{left - 4}" y="{bottom + 4 - HEIGHT * share:.0f}" text-anchor="end">'
        f"{math.exp(low + share * spread):.3g}</text>"
        for share in (0, 0.5, 1)
    )
    return (
        f'<text x="{left}" y="15" font-weight="bold">{name}</text>'
        f'<path d="M{left} {TOP}V{bottom}H{left + WIDTH}" stroke="#444" fill="none"/>{ticks}'
        f'<text x="{left + WIDTH}" y="{bottom + 14}" text-anchor="end">{last:,} steps</text>'
        f'<polyline points="{points}" fill="none" stroke="#06c" stroke-width="1.2"/>'
    )
