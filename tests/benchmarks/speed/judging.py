"""One pass of the engine over files: its own workers on its own cluster, judging as `curate` does."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import psutil
from floor import Cost, Stretch, cost

from curation import engine
from curation.filters import names, parse
from curation.media.records import ScanRequest
from curation.sources import Item
from curation.steps.judge import Judge, Outcome
from curation.store.staging import Staging

WARMING = 6
EMPTY_BOX = b"\0\0\0\x08free"  # ISO/IEC 14496-12, 8.1.2


@contextmanager
def cluster(cores: int) -> Iterator[None]:
    """A local Ray with so many cores."""
    import ray

    ray.init(address="local", num_cpus=cores, include_dashboard=False, log_to_driver=False)
    try:
        yield
    finally:
        ray.shutdown()


@contextmanager
def nodes(count: int) -> Iterator[None]:
    """Ray nodes of one core each, on this host."""
    import ray
    from ray.cluster_utils import Cluster

    found = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    try:
        for _ in range(count - 1):
            found.add_node(num_cpus=1)
        ray.init(address=found.address, log_to_driver=False)
        yield
    finally:
        ray.shutdown()
        found.shutdown()


def cheap() -> list[str]:
    """All filters that look at headers, frames or flow, as they come: no neural network."""
    from curation.filters import Cost as Class
    from curation.filters import load

    return [name for name in names() if load(name).cost < Class.MODEL]


class Timed:
    """`Judge`, with what each file takes of this worker and of its child. Starting both is not counted, nor
    is what the first films have loaded: OCR's networks, once one of them gets so far.
    """

    def __init__(self, staging: Staging, scan: str, warm: Sequence[str]) -> None:
        self._judge = Judge(staging, scan)
        for path in warm:
            self._judge(Item(path, "warm", None, 0))
        self._processes = [psutil.Process(), *psutil.Process().children(recursive=True)]

    def __call__(self, item: Item) -> tuple[Stretch, Outcome]:
        """Judge one file."""
        began, before = time.time(), self._cpu()
        outcome = self._judge(item)
        return Stretch(began, time.time(), self._cpu() - before), outcome

    def _cpu(self) -> float:
        times = [process.cpu_times() for process in self._processes]
        return sum(one.user + one.system for one in times)


def judge(
    paths: Sequence[Path], filters: Sequence[Any], score_all: bool, workers: int
) -> tuple[Cost, list[Outcome]]:
    """Judge all files anew on the cluster; what it takes, and what became of each."""
    scan = ScanRequest(filters=parse(filters), score_all=score_all)
    with tempfile.TemporaryDirectory(prefix="omnivideo-speed-") as folder:
        staging = Staging(str(Path(folder, "dataset")), "speed")
        make = partial(Timed, staging, scan.to_json(), _warming(paths, Path(folder)))
        items = [Item(str(path), "speed", None, path.stat().st_size) for path in paths]
        items.sort(key=lambda item: -item.size)
        found = list(engine.each(make, items, engine.Pool(workers)))
    return cost([Stretch(*stretch) for stretch, _ in found]), [outcome for _, outcome in found]


def _warming(paths: Sequence[Path], folder: Path) -> list[str]:
    """Copies of the smallest MP4 files, which an empty box at the end makes other contents than theirs."""
    small = sorted((path for path in paths if path.suffix == ".mp4"), key=lambda path: path.stat().st_size)
    copies = []
    for number, path in enumerate(small[:WARMING]):
        copies.append(folder / f"warm-{number}.mp4")
        copies[-1].write_bytes(path.read_bytes() + EMPTY_BOX)
    return [str(path) for path in copies]
