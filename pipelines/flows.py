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
from prefect.exceptions import TerminationSignal

from pipelines import artifacts, jobs, requests
from pipelines.gates import check

Event = dict[str, Any]

# Who shows progress: the command line's lines, or by default nobody (a served flow's events are in its log).
listener: ContextVar[Callable[[Event], None]] = ContextVar("listener", default=lambda event: None)
log_file: ContextVar[Path | None] = ContextVar("log_file", default=None)


@task(name="ray-job", task_run_name="{module}", persist_result=False)
def ray_job(module: str, request: dict[str, Any], address: str | None) -> Event:
    """Run `python -m module` as a Ray Job and return its result event; attach if it already runs.

    No retries here: the job retries what can be retried, and one level is enough. A flow run that is
    cancelled takes its job along; one whose process merely ends leaves the job for the next to attach to.
    """
    job = jobs.Job(module, request, address)
    get_run_logger().info("Ray Job %s, key %s", module, job.key())
    show = artifacts.Progress(module, listener.get())
    try:
        return jobs.run(job, show, log_file.get() or _log(module))
    except TerminationSignal:
        if artifacts.is_cancelled():
            jobs.stop(job)
        raise
    finally:
        show.close()


@task(name="sample-clip", persist_result=False)
def sample_clip(model: str, prompt: str, out: str) -> str:
    """Generate one clip from `prompt` with the exported model; return the file's path."""
    from pipelines.generation import generate

    return str(generate(model, prompt, out)["file"])


@flow(name="curate", flow_run_name="curate-{run_id}", persist_result=False)
def curate(request: dict[str, Any], run_id: str, address: str | None = None) -> Event:
    """Media to a dataset version."""
    result: Event = ray_job("curation.job", request, address)
    artifacts.show_curated(result)
    return result


@flow(name="audit", flow_run_name="audit-{run_id}", persist_result=False)
def audit(request: dict[str, Any], run_id: str, address: str | None = None) -> Event:
    """A dataset version to its audit page."""
    result: Event = ray_job("curation.audit.job", request, address)
    artifacts.show_audit(result)
    return result


@flow(name="encode", flow_run_name="encode-{run_id}", persist_result=False)
def encode(request: dict[str, Any], run_id: str, address: str | None = None) -> Event:
    """A dataset version to encoded shards."""
    result: Event = ray_job("training.encoding.job", request, address)
    return result


@flow(name="train", flow_run_name="train-{run_id}", persist_result=False)
def train(request: dict[str, Any], run_id: str, address: str | None = None) -> Event:
    """A dataset version to a trained model."""
    result: Event = ray_job("training.job", request, address)
    return result


@flow(name="evaluate", flow_run_name="evaluate-{run_id}", persist_result=False)
def evaluate(request: dict[str, Any], run_id: str, address: str | None = None) -> Event:
    """A model to its scores and their page."""
    result: Event = ray_job("pipelines.evaluation_job", request, address)
    artifacts.show_evaluated(result)
    return result


@flow(name="retrain", flow_run_name="retrain-{run_id}", persist_result=False)
def retrain(
    curate_request: dict[str, Any],
    train_request: dict[str, Any],
    evaluate_request: dict[str, Any],
    run_id: str,
    out: str,
    prompt: str,
    address: str | None = None,
    by_version: bool = False,
) -> dict[str, Any]:
    """Media to a trained model: curate, audit, train the three stages, evaluate, and one clip to look at.

    With `by_version` each version has a folder of its own in `out` for training and scores. Raises GatesShut
    if the version is not fit to train on.
    """
    curated = curate(curate_request, run_id, address)
    asked = {"dataset": curated["dataset"], "out": f"{out}/audit", "version": curated["version"]}
    audited = audit(asked, run_id, address)
    check(audited)
    version = curated["version"]
    training, judging = {**train_request, "version": version}, evaluate_request
    if by_version:
        training = requests.in_folder_of_its_own(train_request, out, version)
        judging = {**judging, "out": f"{training['out']}/evaluation"}
    if train_request["mix"].get("encoded"):
        encode(training, run_id, address)
    trained = train(training, run_id, address)
    evaluated = evaluate({**judging, "model": trained["model"]}, run_id, address)
    clip = sample_clip(trained["model"], prompt, f"{out}/sample.mp4")
    return {
        "curated": curated,
        "audit": audited["html"],
        "trained": trained,
        "evaluated": {name: evaluated[name] for name in ("scores", "page", "json")},
        "clip": clip,
    }


def _log(module: str) -> Path:
    from pipelines.home import new_log

    return new_log(module)
