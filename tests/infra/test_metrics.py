"""Metrics as Prometheus scrapes them, and the dashboard that asks for them."""

from __future__ import annotations

import json
import re
import time
import urllib.request
from pathlib import Path

import pytest

from curation import engine
from curation.metrics import Counted
from training.monitoring.prometheus import count_step

DASHBOARDS = Path(__file__).parents[2] / "infra" / "grafana" / "dashboards"
GPUS_ONLY = {"ray_node_gpus_utilization", "ray_node_gram_used"}  # not exported where there is no GPU
WAIT_SECONDS = 90.0  # Ray's workers report every ten


class Doubled:
    """Work that is quickly done."""

    def __call__(self, number: int) -> int:
        """Two times the number."""
        return 2 * number


def asked_for() -> set[str]:
    """The names of the metrics in the queries of all dashboards."""
    found: set[str] = set()
    for path in DASHBOARDS.glob("*.json"):
        panels = json.loads(path.read_text())["panels"]
        for target in (target for panel in panels for target in panel.get("targets", ())):
            found.update(re.findall(r"\bray_\w+", target["expr"]))
    return found


@pytest.fixture(scope="module")
def exported(ray_session: None) -> set[str]:
    """The names that Ray's agent exports once a stage, a worker and a training step have been measured."""
    import ray

    told = Counted(lambda event: None)
    counts = {"in": 3, "kept": 1, "rejected": 1, "errors": 1, "reused": 1}
    told({"event": "progress", "stage": "filters", **counts})
    measured = {"seconds": 0.5, "loss": 1.0, "grad_norm": 1.0, "learning_rate": 0.1, "memory_gib": 1.0}
    rates = {"tokens_per_second": 9.0, "mfu": 0.4, "data_wait": 0.1}
    count_step({"kind": "step", "phase": "stage-1", **measured, **rates})
    results = engine.each(Doubled, [1, 2])
    assert next(results) in (2, 4)  # the workers live until the last result is taken
    (node,) = ray.nodes()
    url = f"http://{node['NodeManagerAddress']}:{node['MetricsExportPort']}/metrics"
    wanted, names = asked_for() - GPUS_ONLY, set[str]()
    deadline = time.monotonic() + WAIT_SECONDS
    while not wanted <= names and time.monotonic() < deadline:
        with urllib.request.urlopen(url, timeout=10) as answer:
            names |= set(re.findall(r"^(ray_\w+)", answer.read().decode(), re.MULTILINE))
        time.sleep(0.5)
    list(results)
    return names


def test_the_dashboard_asks_for_what_is_exported(exported: set[str]) -> None:
    """Each metric in a query of the dashboard is one that Ray exports."""
    assert asked_for()
    assert asked_for() - GPUS_ONLY <= exported, sorted(name for name in exported if "omnivideo" in name)
