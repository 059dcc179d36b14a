"""Precision and recall of each split method on real clips joined at known frames.

    python -m tests.benchmarks.cuts [--films 4] [--methods margin content …] FILE-OR-FOLDER …

Shots are what TransNetV2, asked at a low threshold, takes the files apart into; so neither the margin nor
PySceneDetect chose what they are tested on (TransNetV2 did, and its own figures flatter it). Films of random
shots, of 1 to 4 s each, are written by several codecs, sizes and rates, with hard cuts, and one kind with
cross-fades of half a second, for information. A cut counts as found within 2 frames, each once. Also printed:
frames a second of CPU time, decoding included.
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from curation.media import decode, probe, shots
from curation.media.sampler import SPARED
from curation.split import SplitConfig, Splitter
from tests.curation import footage

SUFFIXES = {".mp4", ".avi", ".mkv", ".mov", ".webm", ".m4v", ".mpg"}
TOLERANCE = 2  # frames
SURE, SHORTEST, LONGEST = 0.3, 1.0, 4.0  # probability that ends a shot; seconds of a shot in a film
KINDS: dict[str, dict[str, Any]] = {
    "h264 640x360 25": {"size": (640, 360), "fps": 25.0, "codec": "libx264"},
    "h264 crf 35 1280x720 29.97": {"size": (1280, 720), "fps": 30000 / 1001, "options": {"crf": "35"}},
    "mpeg4 320x240 15": {"size": (320, 240), "fps": 15.0, "codec": "mpeg4", "suffix": ".mkv"},
    "hevc 480x854 24": {"size": (480, 854), "fps": 24.0, "codec": "libx265"},
    "h264 grey 640x360 25": {"size": (640, 360), "fps": 25.0, "look": "grey"},
    "h264 dark 640x360 25": {"size": (640, 360), "fps": 25.0, "look": "dark"},
    "h264 faded 640x360 25": {"size": (640, 360), "fps": 25.0, "fade": 12},
}


@dataclass(frozen=True)
class Shot:
    """Frames [first, last) of a file."""

    path: Path
    first: int
    last: int
    fps: float


def shots_of(path: Path) -> list[Shot]:
    """The shots of a file that are long enough."""
    with probe.open_video(path, 10**8) as (container, stream):
        fps = probe.read_video(stream, container).fps or 25.0
        detector = shots.TransNet(SURE, 1)
        cuts, count = [0], 0
        for count, (_, frame) in enumerate(decode.frames(container, stream), 1):
            cuts += detector.push(count - 1, detector.view(frame))
    edges = [*cuts, *detector.finish(), count]
    pairs = pairwise(edges)
    return [Shot(path, a + 1, b - 1, fps) for a, b in pairs if b - a - 2 >= SHORTEST * fps]


def taken(shot: Shot, chance: random.Random, fps: float) -> footage.Pictures:
    """A random part of a shot, upright, at another rate."""
    seconds = min(chance.uniform(SHORTEST, LONGEST), (shot.last - shot.first) / shot.fps)
    first = shot.first + chance.randint(0, max(0, int(shot.last - shot.first - seconds * shot.fps)))
    wanted = [first + int(i * shot.fps / fps) for i in range(int(seconds * fps))]
    kept: dict[int, Any] = {}
    with probe.open_video(shot.path, 10**8) as (container, stream):
        for index, frame in enumerate(container.decode(stream)):
            if index > wanted[-1]:
                break
            if index >= first:
                kept[index] = np.rot90(frame.to_ndarray(format="rgb24"), round(frame.rotation / 90) % 4)
    return [kept[min(index, max(kept))] for index in wanted]


def film(found: list[Shot], kind: dict[str, Any], count: int, chance: random.Random) -> Any:
    """Pictures of random shots in a row, and the frames at which shots begin (the middle of a fade)."""
    pictures: footage.Pictures = []
    truth: list[int] = []
    fade = kind.get("fade", 0)
    last = None
    for _ in range(count):
        last = shot = chance.choice([one for one in found if last is None or one.path != last.path])
        part = footage.fitted(taken(shot, chance, kind["fps"]), *kind["size"])
        if pictures:
            truth.append(len(pictures) - fade // 2)
        if pictures and fade:
            for i in range(fade):
                pictures[i - fade] = cv2.addWeighted(pictures[i - fade], 1 - i / fade, part[i], i / fade, 0)
            part = part[fade:]
        pictures += part
    if kind.get("look") == "grey":
        pictures = [np.repeat(cv2.cvtColor(p, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2) for p in pictures]
    if kind.get("look") == "dark":
        pictures = [(p * 0.3).astype(np.uint8) for p in pictures]
    return pictures, truth


def cuts_in(path: Path, method: str) -> tuple[list[int], float]:
    """The cuts that a method finds, and its frames a second."""
    began = time.process_time()
    config = SplitConfig.model_validate({"method": method, "min_seconds": 0, "max_seconds": 120})
    with probe.open_video(path, 10**8) as (container, stream):
        if not config.exact:  # as in `curation.media.scan`
            stream.codec_context.options = {**stream.codec_context.options, **SPARED}
        splitter = Splitter(config, probe.read_video(stream, container).fps or 25.0)
        closings = []
        for at, frame in decode.frames(container, stream):
            closings += splitter.push(at, splitter.view(frame))
    closings += splitter.finish()
    speed = len(splitter.times) / (time.process_time() - began)
    return [closing.end for closing in closings if closing.at_cut], speed


def hits(found: list[int], truth: list[int]) -> int:
    """How many true cuts have a found one of their own within the tolerance."""
    left = list(found)
    for cut in truth:
        near = [one for one in left if abs(one - cut) <= TOLERANCE]
        if near:
            left.remove(min(near, key=lambda one: abs(one - cut)))
    return len(found) - len(left)


def main() -> None:
    """Print a line for each kind of film and method, and one for each method over all hard cuts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("paths", nargs="+", type=Path)
    parser.add_argument("--films", type=int, default=4, help="of each kind")
    parser.add_argument("--shots", type=int, default=12, help="in each film")
    parser.add_argument("--methods", nargs="+", default=["margin", "content", "adaptive", "transnetv2"])
    asked = parser.parse_args()
    files = [file for path in asked.paths for file in ([path] if path.is_file() else sorted(path.rglob("*")))]
    found: list[Shot] = []
    for file in (file for file in files if file.suffix.lower() in SUFFIXES):
        try:
            found += shots_of(file)
        except Exception as error:  # noqa: BLE001 - some of any collection are broken on purpose
            print(f"left out: {file.name}: {error}")
    print(f"{len(found)} shots")
    totals = {method: np.zeros(3, int) for method in asked.methods}
    for name, kind in KINDS.items():
        sums = {method: np.zeros(3, int) for method in asked.methods}
        speeds: dict[str, list[float]] = {method: [] for method in asked.methods}
        for seed in range(asked.films):
            pictures, truth = film(found, kind, asked.shots, random.Random(f"{name} {seed}"))
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / f"film{kind.get('suffix', '.mp4')}"
                options = {"preset": "veryfast", **kind.get("options", {})} if "suffix" not in kind else None
                footage.write(path, pictures, kind["fps"], kind.get("codec", "libx264"), options=options)
                for method in asked.methods:
                    cuts, speed = cuts_in(path, method)
                    sums[method] += hits(cuts, truth), len(cuts), len(truth)
                    speeds[method].append(speed)
        for method in asked.methods:
            _show(name, method, sums[method], f"{np.median(speeds[method]):6.0f} frames/s")
            totals[method] += 0 if "fade" in kind else sums[method]
    for method in asked.methods:
        _show("all hard cuts", method, totals[method])


def _show(name: str, method: str, counts: Any, more: str = "") -> None:
    right, claimed, true = counts.tolist()
    precision, recall = right / max(1, claimed), right / max(1, true)
    score = 2 * right / max(1, claimed + true)
    print(
        f"{name:28} {method:11} precision {precision:.3f}  recall {recall:.3f}  F1 {score:.3f}"
        f"  ({right} of {true}, {claimed - right} false)  {more}",
        flush=True,
    )


if __name__ == "__main__":
    main()
