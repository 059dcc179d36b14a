"""What no curation can do without: PyAV decoding the same files, in as many processes as cores."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple


class Cost(NamedTuple):
    """Of one pass over all files: wall-clock seconds from the first file to the last, and CPU seconds."""

    wall: float
    cpu: float


class Stretch(NamedTuple):
    """One file's share of a pass: when it began and ended (seconds of the host's clock), and CPU seconds."""

    began: float
    ended: float
    cpu: float


def cost(stretches: Sequence[Stretch]) -> Cost:
    """All files' stretches as one pass."""
    wall = max(one.ended for one in stretches) - min(one.began for one in stretches)
    return Cost(wall, sum(one.cpu for one in stretches))


def decode(path: str) -> Stretch:
    """Decode each frame of a file on one thread and look at none."""
    import av

    began, cpu = time.time(), time.process_time()
    with av.open(path) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        for _ in container.decode(stream):
            pass
    return Stretch(began, time.time(), time.process_time() - cpu)


def floor(paths: Sequence[Path], processes: int) -> Cost:
    """Decode all files, the largest first; starting the processes is not counted."""
    names = [str(path) for path in sorted(paths, key=lambda path: -path.stat().st_size)]
    with multiprocessing.get_context("spawn").Pool(processes, _warm) as pool:
        pool.map(_warm, range(processes * 4), chunksize=1)
        return cost(pool.map(decode, names, chunksize=1))


def _warm(_: int = 0) -> None:
    import av  # noqa: F401
