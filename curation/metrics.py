"""What Prometheus sees of a curation: counts by stage, and how long a worker takes at one piece of work.

Ray exports them from every node under `ray_omnivideo_…`; infra/grafana has the dashboard. Without a Ray
cluster around nothing is measured.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

from curation.events import Emit

SECONDS = [0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0]  # borders of the latency's bins
OUTCOMES = ("kept", "rejected", "errors", "reused")


class Counted:
    """Hands events on, and counts what is new in each of them."""

    def __init__(self, emit: Emit) -> None:
        self._emit = emit
        self._before: dict[tuple[str, str], int] = {}

    def __call__(self, event: dict[str, Any]) -> None:
        """Take one event."""
        self._emit(event)
        if event["event"] != "progress" or not _on_a_cluster():
            return
        stage = str(event["stage"])
        for name in ("in", *OUTCOMES):
            new = int(event.get(name) or 0) - self._before.get((stage, name), 0)
            self._before[stage, name] = int(event.get(name) or 0)
            if new > 0:
                tags = {"stage": stage} if name == "in" else {"stage": stage, "outcome": name}
                _counter("inputs" if name == "in" else "outcomes", tuple(tags)).inc(new, tags)


@contextmanager
def timed(step: str) -> Iterator[None]:
    """Measure one piece of work of a worker."""
    began = time.perf_counter()
    yield
    if _on_a_cluster():
        _latency().observe(time.perf_counter() - began, {"step": step})


def _on_a_cluster() -> bool:
    import sys

    ray = sys.modules.get("ray")
    return ray is not None and bool(ray.is_initialized())


@cache
def _counter(what: str, tags: tuple[str, ...]) -> Any:
    from ray.util.metrics import Counter

    return Counter(f"omnivideo_curation_{what}", f"{what} of each stage of curation", tag_keys=tags)


@cache
def _latency() -> Any:
    from ray.util.metrics import Histogram

    described = "seconds a worker took at one file, clip or shard"
    return Histogram("omnivideo_curation_seconds", described, boundaries=SECONDS, tag_keys=("step",))
