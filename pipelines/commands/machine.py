"""Commands about this machine: doctor."""

from __future__ import annotations

from typing import Annotated

import typer

from pipelines.commands.options import Json

MARKS = {"ok": "ok     ", "missing": "MISSING", "note": "note   "}


def register(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    from pipelines.console import reports_errors

    app.command()(reports_errors(doctor))


def doctor(
    model: Annotated[
        str | None,
        typer.Option(metavar="PRESET", help="count a preset's parameters instead: tiny, small, omni-11b"),
    ] = None,
    json: Json = False,
) -> None:
    """Say what this machine has, what it lacks, and what each absence means."""
    from pipelines.doctor import count_parameters, examine

    findings = list(examine() if model is None else count_parameters(model))
    if json:
        import json as to_json

        typer.echo(to_json.dumps({"findings": [finding.as_json() for finding in findings]}))
        return
    for finding in findings:
        note = f"  ({finding.meaning})" if finding.meaning else ""
        typer.echo(f"{MARKS[finding.status]}  {finding.what:<32} {finding.found}{note}")
