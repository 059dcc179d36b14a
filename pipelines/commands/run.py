"""Commands that run jobs on a cluster: curate, encode, train, retrain."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Annotated, Any

import typer

from curation.errors import InputError
from pipelines.commands.options import Json, Recipe, Set, Sources

if TYPE_CHECKING:
    from pipelines.console import Terminal
    from pipelines.recipe import Recipe as LoadedRecipe

STAGES = ("backbones", "1", "2", "3")
Version = Annotated[int | None, typer.Option(help="the dataset's version; default: its newest")]
Stage = Annotated[str | None, typer.Option(help="only this stage: backbones, 1, 2 or 3")]


def register(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    from pipelines.console import reports_errors

    for command in (curate, encode, train, retrain):
        app.command()(reports_errors(command))


def curate(
    recipe: Recipe,
    source: Sources = None,
    set_: Set = None,
    out: Annotated[str | None, typer.Option(metavar="DATASET", help="default: runs/<recipe>/dataset")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="only the first N inputs")] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="forget unfinished work and start over")] = False,
    score_all: Annotated[
        bool, typer.Option("--score-all", help="score clips that are rejected already, too")
    ] = False,
    json: Json = False,
) -> None:
    """Turn media into a new dataset version and print the funnel. Goes on where a killed run stopped."""
    from pipelines import forecasts, preflight, requests
    from pipelines import recipe as recipes
    from pipelines.console import terminal

    loaded = recipes.load(recipe, set_, source)
    where = out or f"runs/{Path(recipe).stem}/dataset"
    run_id = requests.new_run_id()
    request = requests.curate(loaded, where, run_id, limit, fresh, score_all)
    preflight.curate(request)
    with terminal("curate", as_json=json) as term:
        result = _run(term, loaded, lambda flows: flows.curate(request, run_id, loaded.cluster.address))
        _show_curated(term, result)
        for text in forecasts.compared(request, result):
            term.print(text)
        term.print(f"log      {term.log}")
        if json:
            term.print_json(_contract(result))


def encode(
    recipe: Recipe,
    data: Annotated[str, typer.Option(metavar="DATASET", help="the dataset to encode")],
    out: Annotated[
        str | None,
        typer.Option(metavar="FOLDER", help="default: the recipe's mix.encoded.folder, else DATASET-encoded"),
    ] = None,
    run: Annotated[
        str | None, typer.Option(metavar="RUN", help="ask this run's model: the vision head's tokens, too")
    ] = None,
    prune: Annotated[
        bool,
        typer.Option(
            "--prune", help="encode nothing; list shards that no dataset version or encoder matches"
        ),
    ] = False,
    remove: Annotated[bool, typer.Option("--remove", help="with --prune: delete them")] = False,
    source: Sources = None,
    set_: Set = None,
    version: Version = None,
    stage: Stage = None,
    json: Json = False,
) -> None:
    """Write down what frozen parts say of a dataset: latents, targets, text embeddings, hidden states.

    What is there already is reused, so a killed command goes on, and a new dataset version adds its own.
    """
    from pipelines import preflight, requests
    from pipelines import recipe as recipes
    from pipelines.console import terminal

    loaded = recipes.load(recipe, set_, source)
    section, run_id = loaded.mix.encoded, requests.new_run_id()
    folder = out or (section.folder if section else f"{data.rstrip('/')}-encoded")
    request = requests.train(loaded, data, run or "", run_id, version, _checked(stage), folder)
    if prune or remove:
        _prune(request, remove and prune, json)
        return
    preflight.encode(request)
    with terminal("encode", as_json=json) as term:
        result = _run(term, loaded, lambda flows: flows.encode(request, run_id, loaded.cluster.address))
        for what, counts in (("made", result["made"]), ("reused", result["reused"])):
            words = ", ".join(f"{count:,} {name}" for name, count in counts.items())
            term.print(f"{what:<8} {words or 'nothing'}")
        term.print(f"encoded  {result['encoded']}  ({result['bytes'] / 2**20:,.1f} MiB new)")
        term.print(f"log      {term.log}")
        if json:
            term.print_json(_contract(result))


def _prune(document: dict[str, Any], remove: bool, json: bool) -> None:
    from training.config import TrainRequest
    from training.encoding.pruning import prune

    request, size = TrainRequest.model_validate(document), 0
    assert request.mix.encoded is not None
    found = prune(request, request.mix.encoded, remove)
    for entry in found:
        size += entry.bytes
        if not json:
            typer.echo(f"{entry.shard}  {entry.bytes / 2**20:8,.1f} MiB  {entry.why}")
    if json:
        import json as to_json

        typer.echo(to_json.dumps({"stale": [entry._asdict() for entry in found], "removed": remove}))
    else:
        done = "removed" if remove else "stale; --prune --remove deletes them" if found else "stale"
        typer.echo(f"{len(found)} shards, {size / 2**20:,.1f} MiB, {done}")


def train(
    recipe: Recipe,
    data: Annotated[str, typer.Option(metavar="DATASET", help="the dataset to train on")],
    out: Annotated[str, typer.Option(metavar="RUN", help="the run's folder")],
    encoded: Annotated[
        str | None, typer.Option(metavar="FOLDER", help="train from what `omnivideo encode` wrote there")
    ] = None,
    source: Sources = None,
    set_: Set = None,
    version: Version = None,
    stage: Stage = None,
    json: Json = False,
) -> None:
    """Train the three stages on a dataset. Goes on from the last checkpoint of a run that stopped."""
    from pipelines import preflight, requests
    from pipelines import recipe as recipes
    from pipelines.console import terminal

    loaded = recipes.load(recipe, set_, source)
    run_id = requests.new_run_id()
    request = requests.train(loaded, data, out, run_id, version, _checked(stage), encoded)
    preflight.train(request)
    with terminal("train", as_json=json) as term:
        result = _run(term, loaded, lambda flows: flows.train(request, run_id, loaded.cluster.address))
        _show_trained(term, result)
        term.print(f"log      {term.log}")
        if json:
            term.print_json(_contract(result))


def retrain(
    recipe: Recipe,
    source: Sources = None,
    set_: Set = None,
    out: Annotated[str | None, typer.Option(metavar="FOLDER", help="default: runs/<recipe>")] = None,
    prompt: Annotated[
        str, typer.Option(help="what the sample clip shows")
    ] = "a person rides a bike through a park",
    limit: Annotated[int | None, typer.Option(min=1, help="only the first N inputs")] = None,
    json: Json = False,
) -> None:
    """Curate, audit, train the three stages, evaluate, and generate one clip. Goes on where it stopped."""
    from pipelines import preflight, requests
    from pipelines import recipe as recipes
    from pipelines.console import terminal

    loaded = recipes.load(recipe, set_, source)
    where = requests.absolute(out or f"runs/{Path(recipe).stem}")
    run_id = requests.new_run_id()
    curating = requests.curate(loaded, f"{where}/dataset", run_id, limit)
    training = requests.train(loaded, f"{where}/dataset", f"{where}/train", run_id)
    judging = requests.evaluate(loaded, f"{where}/train/model", f"{where}/evaluation", run_id)
    preflight.curate(curating)
    arguments = (curating, training, judging, run_id, where, prompt, loaded.cluster.address)
    with terminal("retrain", as_json=json) as term:
        result = _run(term, loaded, lambda flows: flows.retrain(*arguments))
        _show_curated(term, result["curated"])
        term.print(f"audit    {result['audit']}")
        _show_trained(term, result["trained"])
        _show_scores(term, result["evaluated"])
        term.print(f"clip     {result['clip']}  ({prompt!r})")
        term.print(f"log      {term.log}")
        if json:
            parts = {"curated": _contract(result["curated"]), "trained": _contract(result["trained"])}
            term.print_json({**result, **parts})


def _checked(stage: str | None) -> str | None:
    if stage is not None and stage not in STAGES:
        raise InputError(f"there is no stage {stage}", "reading --stage", f"choose from {', '.join(STAGES)}")
    return stage


def _run(
    term: Terminal, recipe: LoadedRecipe, call: Callable[[ModuleType], dict[str, Any]]
) -> dict[str, Any]:
    """Return what the flow in `call` returns; show its progress and let go of the local cluster."""
    from pipelines.progress import Progress

    term.print(f"starting Prefect and Ray; what they print goes to {term.log}")
    from pipelines import jobs, leftovers

    leftovers.sweep()
    leftovers.own_servers()
    jobs.warm(recipe.cluster.address)
    from pipelines import flows

    try:
        with Progress(term.console) as progress:
            flows.listener.set(progress.show)
            flows.log_file.set(term.log)
            return call(flows)
    finally:
        jobs.release(recipe.cluster.address)


def _show_curated(term: Terminal, result: dict[str, Any]) -> None:
    from pipelines import funnel

    for text in funnel.lines(result):
        term.print(text)
    term.print(f"dataset  {result['dataset']} version {result['version']}")


def _show_trained(term: Terminal, result: dict[str, Any]) -> None:
    for stage in result["stages"]:
        losses = f"loss {stage['first_loss']:.4f} -> {stage['last_loss']:.4f}"
        counts = f"{stage['trainable']:,} trainable, {stage['frozen']:,} frozen"
        term.print(f"{stage['name']:<14} {stage['steps']:>6,} steps  {losses}  ({counts})")
    term.print(f"model    {result['model']}")
    term.print(f"summary  {result['run']}/summary.html")


def _show_scores(term: Terminal, evaluated: dict[str, Any]) -> None:
    from pipelines import scores

    for text in scores.lines(evaluated["scores"]):
        term.print(f"score    {text}")
    term.print(f"scores   {evaluated['page']}")


def _contract(result: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in result.items() if name not in ("event", "run_id")}
