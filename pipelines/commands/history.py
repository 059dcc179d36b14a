"""Commands about a dataset's history: versions, diff, rollback."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from pipelines.commands.answers import print_json
from pipelines.commands.options import Dataset, Json


def register(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    from pipelines.console import reports_errors

    for command in (versions, diff, rollback):
        app.command()(reports_errors(command))


def versions(dataset: Dataset, json: Json = False) -> None:
    """List a dataset's versions, newest first: when, by which run and recipe, and its funnel."""
    from curation.dataset import open_dataset

    rows = [_version(commit) for commit in open_dataset(dataset).history()]
    if json:
        print_json({"dataset": dataset, "versions": rows})
        return
    for row in rows:
        funnel = row["funnel"] or {}
        counts = " ".join(f"{funnel.get(name, 0):>7,} {name}" for name in ("inputs", "clips", "kept"))
        recipe = row["recipe_sha256"][:12]
        back = "" if row["rolled_back_to"] is None else f"  rollback to {row['rolled_back_to']}"
        typer.echo(f"{row['version']:>4}  {row['time']}  {counts}  recipe {recipe}  {row['run_id']}{back}")


def diff(
    dataset: Dataset,
    old: Annotated[int, typer.Argument(metavar="OLD", help="a version's number")],
    new: Annotated[int | None, typer.Argument(metavar="NEW", help="default: the newest")] = None,
    json: Json = False,
) -> None:
    """Say what changed between two versions: both funnels, and the clips that came, went or moved."""
    from curation.store.versions import diff as compare
    from pipelines.funnel import compared

    result = compare(dataset, old, new)
    if json:
        print_json(result)
        return
    typer.echo(f"{dataset}: version {result['from']} -> {result['to']}")
    for text in compared(result["funnel"]["from"], result["funnel"]["to"]):
        typer.echo(text)
    for sign, what in (("+", "added"), ("-", "removed")):
        for fate, count in result[what].items():
            typer.echo(f"  {sign}{count:>7,}  {fate}")
    for move, count in result["changed"].items():
        typer.echo(f"  ~{count:>7,}  {move:<40}  {', '.join(result['examples'][move])}")


def rollback(
    dataset: Dataset,
    version: Annotated[int, typer.Argument(metavar="VERSION", help="the version to go back to")],
    json: Json = False,
) -> None:
    """Make an earlier version the newest again; the versions in between stay readable."""
    from curation.store.versions import rollback as go_back

    result = go_back(dataset, version)
    if json:
        print_json(result)
        return
    kept = result["funnel"]["kept"]
    typer.echo(f"{dataset} version {result['version']} is version {version} again: {kept:,} clips kept")


def _version(commit: dict[str, Any]) -> dict[str, Any]:
    import datetime
    import json

    when = datetime.datetime.fromtimestamp(commit["timestamp"] / 1000, tz=datetime.UTC)
    funnel, back = commit.get("funnel"), commit.get("rolled_back_to")
    return {
        "version": commit["version"],
        "time": when.isoformat(timespec="seconds"),
        "run_id": commit.get("run_id", ""),
        "recipe_sha256": commit.get("recipe_sha256", ""),
        "rolled_back_to": None if back is None else int(back),
        "funnel": json.loads(funnel) if isinstance(funnel, str) else funnel,
    }
