"""Commands about thresholds, answered from stored scores: whatif."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

import typer

from pipelines.commands.answers import print_json
from pipelines.commands.options import Dataset, Json


def register(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    from pipelines.console import reports_errors

    for command in (whatif,):
        app.command()(reports_errors(command))


def whatif(
    dataset: Dataset,
    changes: Annotated[
        list[str],
        typer.Argument(metavar="FILTER.FIELD=VALUE", help="a threshold; null for none; as many as you like"),
    ],
    version: Annotated[int | None, typer.Option(help="default: the newest")] = None,
    json: Json = False,
) -> None:
    """Show the funnel under other thresholds, from stored scores: nothing is decoded."""
    from curation.whatif import look

    result = look(dataset, changes, version).as_json()
    if json:
        print_json(result)
        return
    for text in _outlook(result):
        typer.echo(text)


def _outlook(result: dict[str, Any]) -> Iterator[str]:
    from pipelines.funnel import compared

    for change in result["changes"]:
        yield f"{change['filter']}.{change['field']}  {_value(change['old'])} -> {_value(change['new'])}"
    yield from compared(result["funnel"]["from"], result["funnel"]["to"])
    for move, count in result["changed"].items():
        yield f"  ~{count:>7,}  {move:<40}  {', '.join(result['examples'][move])}"
    if result["not_scored"]:
        yield f"not scored: {result['not_scored']:,}, counted as they are; run curate --score-all to know"
    if result["needs_media"]:
        yield f"{result['needs_media']:,} clips come back; curate with the new thresholds cuts them"


def _value(value: float | None) -> str:
    return "none" if value is None else f"{value:g}"
