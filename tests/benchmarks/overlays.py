"""Recall and false alarms of the overlay filters: `python -m tests.benchmarks.overlays FOLDER`.

Overlays of known kind are planted on clips of the videos and on the pictures of a folder (fonts: those under
/usr/share/fonts and `--fonts`), encoded, and scanned as a run would. Of each video the first scenes are
taken, cut to 1.5 to 8 seconds. An untouched copy of each gives the false alarms: what the folder's media bear
already counts as one, so keep such media out. `--list` names what was missed.
"""

from __future__ import annotations

import argparse
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import av
import cv2
import numpy as np
from PIL import Image

from curation.filters import parse
from curation.media.records import ScanRequest
from curation.media.scan import scan
from curation.split import SplitConfig

from ..curation import drawn, footage, planted

FILTERS = ("text_overlay", "subtitles", "watermark")
REQUEST = ScanRequest(filters=parse(FILTERS), score_all=True, split=SplitConfig(method="none"))
VIDEOS = (".mp4", ".avi", ".mov", ".mkv", ".webm", ".mpg", ".m4v")
IMAGES = (".jpg", ".jpeg", ".png")
MOST_PIXELS = 10**8
SCENES = 4  # of a video


def scenes(path: Path, random: Random) -> Iterator[tuple[list[Any], float]]:
    """RGB frames and rate of the first scenes, each cut to a length from 1.5 to 8 s."""
    spans = scan(path, ScanRequest(split=SplitConfig(max_seconds=8.0, min_seconds=1.5)), MOST_PIXELS).clips
    for clip in [one for one in spans if one["end_s"] - one["start_s"] >= 1.5][:SCENES]:
        fps, start = clip["fps"] or 25.0, clip["start_s"]
        end = min(clip["end_s"], start + random.choice((1.5, 2.5, 4.0, 8.0)))
        with av.open(str(path)) as container:
            zero = None
            frames = []
            for frame in container.decode(video=0):
                zero = frame.time if zero is None else zero
                if start <= frame.time - zero < end:
                    frames.append(_even(frame.to_ndarray(format="rgb24")))
                if frame.time - zero >= end:
                    break
        if len(frames) > fps:
            yield frames, fps


def cases(folder: Path, every: int) -> Iterator[tuple[str, str, Path, tuple[str, ...]]]:
    """(kind of medium, overlay, file, filters that should find it) for all media and overlays."""
    random = Random(0)
    with tempfile.TemporaryDirectory() as place:
        for path in sorted(folder.rglob("*"))[::every]:
            if path.suffix.lower() in VIDEOS:
                for number, (frames, fps) in enumerate(scenes(path, random)):
                    name = Path(place) / f"{path.stem}-{number}.mp4"
                    for plant, (make, finders) in _with_none(planted.VIDEO_PLANTS):
                        footage.write(name, make(frames, fps, random), fps, options={"preset": "veryfast"})
                        yield "video", plant, name, finders
            elif path.suffix.lower() in IMAGES:
                picture = np.asarray(Image.open(path).convert("RGB"))
                picture = cv2.resize(picture, None, fx=(k := min(1, 1600 / max(picture.shape))), fy=k)
                name = Path(place) / f"{path.stem}.jpg"
                for plant, (make, finders) in _with_none(planted.IMAGE_PLANTS):
                    Image.fromarray(make([picture], 0, random)[0]).save(name, quality=88)
                    yield "image", plant, name, finders


def main() -> None:
    """Print a line for each kind of overlay."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--every", type=int, default=1, help="only each N-th file")
    parser.add_argument("--fonts", action="append", default=[], help="another folder of fonts")
    parser.add_argument("--list", action="store_true", help="name the files that were judged wrongly")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    drawn.FONT_FOLDERS += options.fonts
    found: dict[tuple[str, str], list[list[bool]]] = defaultdict(list)
    for kind, plant, path, finders in cases(options.folder, options.every):
        clips = scan(path, REQUEST, MOST_PIXELS).clips
        rejecting = [any(_rejects(rule, clip) for clip in clips) for rule in REQUEST.filters]
        right = any(hit for hit, name in zip(rejecting, FILTERS, strict=True) if name in (finders or FILTERS))
        found[kind, plant].append([*rejecting, right])
        if options.list and right != (plant != "none"):
            print(kind, plant, path.name, {k: round(v, 2) for k, v in clips[0]["scores"].items() if v})
    print(f"{'':24} {'cases':>5} " + " ".join(f"{name:>12}" for name in (*FILTERS, "as expected")))
    for (kind, plant), rows in sorted(found.items()):
        shares = np.mean(rows, axis=0)
        print(f"{kind + ' ' + plant:24} {len(rows):5} " + " ".join(f"{share:12.2f}" for share in shares))


def _rejects(rule: Any, clip: Any) -> bool:
    stored = {name: clip["scores"].get(f"{rule.name()}_{name}") for name in rule.scores}
    given = {name: value for name, value in stored.items() if value is not None}
    return bool(given) and rule.decide(given) is not None


def _with_none(plants: dict[str, Any]) -> list[tuple[str, Any]]:
    return [("none", (lambda frames, fps, random: frames, ())), *plants.items()]


def _even(picture: Any) -> Any:
    height, width = picture.shape[:2]
    return np.ascontiguousarray(picture[: height // 2 * 2, : width // 2 * 2])


if __name__ == "__main__":
    main()
