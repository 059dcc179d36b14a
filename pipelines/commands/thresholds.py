"""Commands about thresholds, answered from stored scores: whatif, calibrate."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

import typer

from pipelines.commands.answers import print_json
from pipelines.commands.options import Dataset, Json


def register(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    from pipelines.console import reports_errors

    for command in (whatif, calibrate):
        app.command()(reports_errors(command))


def whatif(
    dataset: Dataset,
    changes: Annotated[
        list[str],
        typer.Argument(metavar="FILTER.FIELD=VALUE", help="a threshold; null for none; as many as you like"),
    ],
    version: Annotated[int | None, typer.Option(help="default: the newest")] = None,
    publish: Annotated[bool, typer.Option("--publish", help="make it a new version, in one commit")] = False,
    json: Json = False,
) -> None:
    """Show the funnel under other thresholds, from stored scores: nothing is decoded."""
    from curation.questions.whatif import look

    outlook = look(dataset, changes, version)
    result = outlook.as_json()
    if publish:
        from curation.store.republish import republish
        from pipelines.requests import new_run_id

        result["publication"] = republish(outlook, new_run_id())
    if json:
        print_json(result)
        return
    for text in _outlook(result):
        typer.echo(text)


def calibrate(
    dataset: Dataset,
    labels: Annotated[
        str, typer.Argument(metavar="LABELS.csv", help="columns file or sample_id, and keep (yes or no)")
    ],
    version: Annotated[int | None, typer.Option(help="default: the newest")] = None,
    json: Json = False,
) -> None:
    """Measure each threshold against labelled clips, and suggest the value that agrees best, if one gains."""
    from curation.questions.calibrate import calibrate as compare

    result = compare(dataset, labels, version)
    if json:
        print_json(result)
        return
    typer.echo(f"{result['labelled']:,} clips labelled, {result['keep']:,} of them keep")
    header = f"{'threshold':<34} {'value':>9} {'precision':>9} {'recall':>7} {'F1':>6}"
    typer.echo(f"{header} {'suggested':>10} {'F1 then':>7} {'not scored':>10}")
    for one in result["thresholds"]:
        typer.echo(_compared(one))
    if result["repeated"]:
        typer.echo(f"labels that repeat others, counted once: {result['repeated']:,}")
    if result["unknown"]:
        typer.echo(f"not in the dataset: {', '.join(result['unknown'])}")


def _compared(one: dict[str, Any]) -> str:
    now, name = one["now"], f"{one['filter']}.{one['field']}"
    shown = [" -" if now[key] is None else f"{now[key]:.2f}" for key in ("precision", "recall", "f1")]
    line = f"{name:<34} {one['value']:>9g} {shown[0]:>9} {shown[1]:>7} {shown[2]:>6}"
    better = _value(one["suggested"]) if one["gain"] > 0 else "no gain"
    return f"{line} {better:>10} {one['then']['f1']:>7.2f} {one['not_scored']:>10,}"


def _outlook(result: dict[str, Any]) -> Iterator[str]:
    from pipelines.funnel import compared

    for change in result["changes"]:
        yield f"{change['filter']}.{change['field']}  {_value(change['old'])} -> {_value(change['new'])}"
    yield from compared(result["funnel"]["from"], result["funnel"]["to"])
    for move, count in result["changed"].items():
        yield f"  ~{count:>7,}  {move:<40}  {', '.join(result['examples'][move])}"
    if result["not_scored"]:
        yield f"not scored: {result['not_scored']:,}, counted as they are; run curate --score-all to know"
    made = result.get("publication")
    if made:
        yield f"published version {made['published']}: {made['rows']:,} rows, {made['funnel']['kept']:,} kept"
    waiting = made["waiting"] if made else result["needs_media"]
    if waiting:
        yield f"{waiting:,} clips come back when curate is run with the new thresholds, which cuts them"


def _value(value: float | None) -> str:
    return "none" if value is None else f"{value:g}"
