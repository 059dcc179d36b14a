"""The Prefect flows. A flow says what runs and when; Ray Jobs do the work, and tasks hand each other URIs."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextvars import ContextVar
from pathlib import Path
from typing import Any

# Read by Prefect when it is imported. Nothing phones home, and a small machine gets time to start the server.
os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
os.environ.setdefault("DO_NOT_TRACK", "1")
os.environ.setdefault("PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS", "120")

from prefect import flow, get_run_logger, task

from pipelines import jobs

Event = dict[str, Any]

# Who shows progress: the command line's lines, or by default nobody (a served flow's events are in its log).
listener: ContextVar[Callable[[Event], None]] = ContextVar("listener", default=lambda event: None)
log_file: ContextVar[Path | None] = ContextVar("log_file", default=None)


@task(name="ray-job", task_run_name="{module}", persist_result=False)
def ray_job(module: str, request: dict[str, Any], address: str | None) -> Event:
    """Run `python -m module` as a Ray Job and return its result event; attach if it already runs.

    No retries here: the job retries what can be retried, and one level is enough.
    """
    job = jobs.Job(module, request, address)
    get_run_logger().info("Ray Job %s, key %s", module, job.key())
    return jobs.run(job, listener.get(), log_file.get() or _log(module))


@task(name="audit-report", persist_result=False)
def audit_report(dataset: str, out: str, version: int | None = None, against: int | None = None) -> str:
    """Write `audit.html` and `audit.json` into `out`; return the page's path."""
    from curation.audit import build_audit

    build_audit(dataset, out, version=version, against=against)
    return str(Path(out) / "audit.html")


@task(name="sample-clip", persist_result=False)
def sample_clip(model: str, prompt: str, out: str) -> str:
    """Generate one clip from `prompt` with the exported model; return the file's path."""
    from pipelines.generation import generate

    return str(generate(model, prompt, out)["file"])


@flow(name="curate", flow_run_name="curate-{run_id}", persist_result=False)
def curate(request: dict[str, Any], run_id: str, address: str | None = None) -> Event:
    """Media to a dataset version."""
    result: Event = ray_job("curation.job", request, address)
    return result


@flow(name="train", flow_run_name="train-{run_id}", persist_result=False)
def train(request: dict[str, Any], run_id: str, address: str | None = None) -> Event:
    """A dataset version to a trained model."""
    result: Event = ray_job("training.job", request, address)
    return result


@flow(name="retrain", flow_run_name="retrain-{run_id}", persist_result=False)
def retrain(
    curate_request: dict[str, Any],
    train_request: dict[str, Any],
    run_id: str,
    out: str,
    prompt: str,
    address: str | None = None,
) -> dict[str, Any]:
    """Media to a trained model: curate, audit, train the three stages, export, and one clip to look at."""
    curated = curate(curate_request, run_id, address)
    page = audit_report(curated["dataset"], f"{out}/audit", curated["version"])
    trained = train({**train_request, "version": curated["version"]}, run_id, address)
    clip = sample_clip(trained["model"], prompt, f"{out}/sample.mp4")
    return {"curated": curated, "audit": page, "trained": trained, "clip": clip}


def _log(module: str) -> Path:
    from pipelines.home import new_log

    return new_log(module)
