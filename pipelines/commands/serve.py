"""Commands that put recipes on a schedule: deploy, serve."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from curation.errors import InputError
from pipelines.commands.options import Recipe, Set, Sources

if TYPE_CHECKING:
    from pipelines.recipe import Recipe as LoadedRecipe

FLOWS = ("curate", "audit", "train", "evaluate", "retrain")
PROMPT = "a person rides a bike through a park"


def register(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    from pipelines.console import reports_errors

    for command in (deploy, serve):
        app.command()(reports_errors(command))


def deploy(
    recipe: Recipe,
    flow: Annotated[str, typer.Option(help="curate, audit, train, evaluate or retrain")] = "curate",
    source: Sources = None,
    set_: Set = None,
    out: Annotated[
        str | None,
        typer.Option(metavar="PLACE", help="the dataset (curate), else a folder; default: runs/<recipe>/…"),
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(metavar="DATASET", help="audit, train: this; each new version starts a run"),
    ] = None,
    model: Annotated[str | None, typer.Option(metavar="MODEL", help="evaluate: this folder")] = None,
    name: Annotated[str | None, typer.Option(help="the deployment's name; default: the recipe's")] = None,
) -> None:
    """Put a recipe on its schedule: a deployment on the Prefect server that `omnivideo serve` runs."""
    from pipelines import recipe as recipes
    from pipelines import server
    from pipelines.requests import absolute

    loaded = recipes.load(recipe, set_, source)
    stem = Path(recipe).stem
    parameters = _parameters(flow, loaded, f"runs/{Path(recipe).stem}", out, data, model)
    url = server.connect()
    from pipelines import deployments

    made = deployments.deploy(flow, name or stem, loaded, parameters, absolute(data) if data else None)
    when = loaded.schedule.model_dump(exclude_none=True) if loaded.schedule else "when asked"
    typer.echo(f"deployed {made} on {url.removesuffix('/api')}\nruns     {when}")
    typer.echo(f"now      prefect deployment run {made}")


def serve(
    port: Annotated[int, typer.Option(help="of the Prefect server, on loopback")] = 4200,
) -> None:
    """Run what schedules need on this machine, until Ctrl-C: Prefect's server, Ray, and a worker."""
    from pipelines import jobs, server
    from pipelines.home import home

    with server.running(port) as url, _stopped_by_sigterm():
        from pipelines import deployments

        deployments.make_pool()
        typer.echo(f"Prefect  {url.removesuffix('/api')}  (user and password: {server.password_file()})")
        typer.echo(f"logs     {home() / 'logs'}\nserving  the work pool {deployments.POOL}; Ctrl-C ends it")
        try:
            _work(deployments.POOL)
        finally:
            jobs.release(None)


def _parameters(
    flow: str, recipe: LoadedRecipe, folder: str, out: str | None, data: str | None, model: str | None
) -> dict[str, Any]:
    from pipelines.requests import absolute

    if flow not in FLOWS:
        raise InputError(f"there is no flow {flow!r}", "reading --flow", f"choose from {', '.join(FLOWS)}")
    _only_for(flow, "--data", data, ("audit", "train"))
    _only_for(flow, "--model", model, ("evaluate",))
    if flow == "curate":
        watch = bool(recipe.schedule and recipe.schedule.new_files_minutes)
        return {"out": absolute(out or f"{folder}/dataset"), "only_new_files": watch}
    place = absolute(out or folder)
    own: dict[str, dict[str, Any]] = {
        "audit": {"dataset": data and absolute(data), "out": absolute(out or f"{folder}/audit")},
        "train": {"data": data and absolute(data)},
        "evaluate": {"model": model and absolute(model), "out": absolute(out or f"{folder}/evaluation")},
        "retrain": {"prompt": PROMPT},
    }
    return {"out": place, **own[flow]}


def _only_for(flow: str, option: str, given: str | None, flows: tuple[str, ...]) -> None:
    if (flow in flows) != (given is not None):
        what, where = f"--flow {flow} {'needs' if given is None else 'takes no'} {option}", " or ".join(flows)
        raise InputError(what, f"reading {option}", f"give it with --flow {where}, and only there")


def _work(pool: str) -> None:
    """A Prefect worker as a child, until it or this process ends."""
    from pipelines import server

    command = [sys.executable, "-m", "prefect", "worker", "start", "--pool", pool, "--type", "process"]
    worker = subprocess.Popen(command, env=dict(os.environ), start_new_session=True)
    try:
        code = worker.wait()
        raise server.ServerError(
            f"the Prefect worker ended (exit code {code}): start `omnivideo serve` again"
        )
    except KeyboardInterrupt:
        typer.echo("stopping; jobs that run are stopped with their cluster, and go on with the next run")
    finally:
        server.end(worker, 30.0)


@contextlib.contextmanager
def _stopped_by_sigterm() -> Iterator[None]:
    """SIGTERM, as a service manager sends it, ends the block as Ctrl-C does."""

    def stop(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
