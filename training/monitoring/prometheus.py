"""What Prometheus sees of training: each logged step, as the job reads it from the run's log.

Ray exports it from the job's node under `ray_omnivideo_…`; infra/grafana has the dashboard.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

SECONDS = [0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0]  # borders of the bins of a step's time
GAUGES = ("loss", "grad_norm", "learning_rate", "tokens_per_second", "mfu", "data_wait", "memory_gib")


def count_step(entry: Mapping[str, Any]) -> None:
    """Measure one step of the log. Without a Ray cluster around nothing happens."""
    import ray

    if entry["kind"] != "step" or not ray.is_initialized():
        return
    tags = {"phase": str(entry["phase"])}
    _metric("Counter", "steps").inc(1, tags)
    if entry.get("seconds"):
        _metric("Histogram", "step_seconds").observe(entry["seconds"], tags)
    for name in GAUGES:
        if entry.get(name) is not None:
            _metric("Gauge", name).set(float(entry[name]), tags)


@cache
def _metric(kind: str, name: str) -> Any:
    import ray.util.metrics

    more = {"boundaries": SECONDS} if kind == "Histogram" else {}
    described = f"{name.replace('_', ' ')} of the latest training step"
    return getattr(ray.util.metrics, kind)(f"omnivideo_train_{name}", described, tag_keys=("phase",), **more)
