"""Commands about one version of a dataset: audit."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipelines.commands.answers import print_json
from pipelines.commands.options import Dataset, Json


def register(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    from pipelines.console import reports_errors

    for command in (audit,):
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
        print_json(report)
    else:
        typer.echo(f"audit    {folder}/audit.html\n         {folder}/audit.json")
