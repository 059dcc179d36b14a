"""The command that looks ahead: plan."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipelines.commands.answers import print_json
from pipelines.commands.options import Json, Recipe, Set, Sources


def register(app: typer.Typer) -> None:
    """Add this command to the command line."""
    from pipelines.console import reports_errors

    app.command()(reports_errors(plan))


def plan(
    recipe: Recipe,
    source: Sources = None,
    set_: Set = None,
    out: Annotated[str | None, typer.Option(metavar="DATASET", help="default: runs/<recipe>/dataset")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="only the first N inputs")] = None,
    sample: Annotated[int, typer.Option(min=1, help="inputs to try")] = 20,
    json: Json = False,
) -> None:
    """Check a recipe and its sources, and forecast from a sample what curating makes and takes."""
    from curation.config import CurateRequest
    from curation.questions.forecast import forecast
    from pipelines import forecasts, mixing, requests
    from pipelines import recipe as recipes

    loaded = recipes.load(recipe, set_, source)
    where = requests.absolute(out or f"runs/{Path(recipe).stem}/dataset")
    request = requests.curate(loaded, where, requests.new_run_id(), limit)
    told = forecast(CurateRequest.model_validate(request), sample)
    if any("task" in one for one in told["sources"]):
        told["mix"] = mixing.table(told["sources"], loaded.mix)
    path = forecasts.write(where, told)
    if json:
        print_json({**told, "file": path})
        return
    for text in forecasts.lines(told):
        typer.echo(text)
    if path:
        typer.echo(f"kept in {path}: curate shows it beside what comes")
