"""Commands about this machine: doctor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.commands.options import Json

if TYPE_CHECKING:
    from pipelines.findings import Finding

MARKS = {"ok": "ok     ", "missing": "MISSING", "note": "note   ", "failed": "FAILED "}


def register(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    from pipelines.console import reports_errors

    app.command()(reports_errors(doctor))


def doctor(
    model: Annotated[
        str | None,
        typer.Option(metavar="PRESET", help="count a preset's parameters instead: tiny, small, omni-11b"),
    ] = None,
    gradients: Annotated[
        bool,
        typer.Option("--gradients", help="train on two processes by DeepSpeed and by PyTorch, and compare"),
    ] = False,
    ray: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="of a Ray cluster to look at, as in cluster.address"),
    ] = None,
    store: Annotated[
        list[str] | None,
        typer.Option(metavar="URL", help="where datasets are to be written; repeatable"),
    ] = None,
    json: Json = False,
) -> None:
    """Say what this machine has, what it lacks, and what each absence means."""
    from pipelines.doctor import check_gradients, count_parameters, examine

    if gradients:
        findings = list(check_gradients())
    else:
        findings = list(examine(ray, store or ()) if model is None else count_parameters(model))
    _say(findings, json)
    if any(finding.status == "failed" for finding in findings):
        raise typer.Exit(1)


def _say(findings: list[Finding], json: bool) -> None:
    if json:
        import json as to_json

        typer.echo(to_json.dumps({"findings": [finding.as_json() for finding in findings]}))
        return
    for finding in findings:
        note = f"  ({finding.meaning})" if finding.meaning else ""
        typer.echo(f"{MARKS[finding.status]}  {finding.what:<32} {finding.found}{note}")
