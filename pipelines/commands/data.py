"""Commands about datasets: audit, versions."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from pipelines.commands.options import Dataset, Json


def register(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    from pipelines.console import reports_errors

    for command in (audit, versions):
        app.command()(reports_errors(command))


def audit(
    dataset: Dataset,
    version: Annotated[int | None, typer.Option(help="default: the newest")] = None,
    against: Annotated[int | None, typer.Option(help="an earlier version to compare with")] = None,
    out: Annotated[str | None, typer.Option(metavar="DIR", help="default: audit/ beside the dataset")] = None,
    json: Json = False,
) -> None:
    """Write one offline HTML page and its JSON: what was kept, what was dropped, and why."""
    from curation.audit import build_audit

    folder = out or str(Path(dataset).absolute().parent / "audit")
    report = build_audit(dataset, folder, version=version, against=against)
    if json:
        _print_json(report)
    else:
        typer.echo(f"audit    {folder}/audit.html\n         {folder}/audit.json")


def versions(dataset: Dataset, json: Json = False) -> None:
    """List a dataset's versions, newest first: when, by which run and recipe, and its funnel."""
    from curation.dataset import open_dataset

    rows = [_version(commit) for commit in open_dataset(dataset).history()]
    if json:
        _print_json({"dataset": dataset, "versions": rows})
        return
    for row in rows:
        funnel = row["funnel"] or {}
        counts = " ".join(f"{funnel.get(name, 0):>7,} {name}" for name in ("inputs", "clips", "kept"))
        recipe = row["recipe_sha256"][:12]
        typer.echo(f"{row['version']:>4}  {row['time']}  {counts}  recipe {recipe}  {row['run_id']}")


def _version(commit: dict[str, Any]) -> dict[str, Any]:
    import datetime
    import json

    when = datetime.datetime.fromtimestamp(commit["timestamp"] / 1000, tz=datetime.UTC)
    funnel = commit.get("funnel")
    return {
        "version": commit["version"],
        "time": when.isoformat(timespec="seconds"),
        "run_id": commit.get("run_id", ""),
        "recipe_sha256": commit.get("recipe_sha256", ""),
        "funnel": json.loads(funnel) if isinstance(funnel, str) else funnel,
    }


def _print_json(result: dict[str, Any]) -> None:
    import json

    typer.echo(json.dumps(result, default=str))
