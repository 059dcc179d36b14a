"""Commands about one version of a dataset: audit, explain."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from pipelines.commands.answers import print_json
from pipelines.commands.options import Dataset, Json


def register(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    from pipelines.console import reports_errors

    for command in (audit, explain):
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


def explain(
    dataset: Dataset,
    what: Annotated[
        str, typer.Argument(metavar="SAMPLE_OR_FILE", help="a sample id or its start, a file's name or path")
    ],
    version: Annotated[int | None, typer.Option(help="default: the newest")] = None,
    json: Json = False,
) -> None:
    """Say why a clip, or each clip of a file, was kept or dropped: every score beside its threshold."""
    from curation.questions.explain import explain as look_up

    result = look_up(dataset, what, version)
    if json:
        print_json(result)
        return
    for clip in result["clips"]:
        typer.echo(_about(clip))


def _about(clip: dict[str, Any]) -> str:
    lines = [f"{clip['sample_id']}  {clip['uri']}{_span(clip)}", f"  {_verdict(clip)}", *_waiting(clip)]
    lines += [_check(check) for check in clip["checks"]]
    lines += [f"    {one['score']:<32} {one['value']:>10.4g}" for one in clip["unbounded"]]
    if clip["caption"]:
        lines.append(f"  caption  {clip['caption']}  ({clip['captioner']})")
    made = clip["lineage"]
    recipe = (made["recipe_sha256"] or "?")[:12]
    lines.append(f"  lineage  run {made['run_id']}, recipe {recipe}, version {made['version']}")
    return "\n".join(lines)


def _span(clip: dict[str, Any]) -> str:
    if clip["start_s"] is None:
        return ""
    size = f"  {clip['width']}x{clip['height']}"
    return size if clip["num_frames"] == 1 else f"  {clip['start_s']:.2f}-{clip['end_s']:.2f} s{size}"


def _verdict(clip: dict[str, Any]) -> str:
    by = f" by {clip['filter']}: {clip['reason']}" if clip["filter"] else ""
    detail = f" ({clip['detail']})" if clip["detail"] else ""
    return f"{clip['verdict'].upper()}{by}{detail}"


def _waiting(clip: dict[str, Any]) -> Iterator[str]:
    """Yield what to do about a rejected clip that newer thresholds let pass."""
    if clip["waiting"] is not None:
        unknown = ", ".join(clip["waiting"]["not_scored"])
        lacks = f" (not known: {unknown})" if unknown else ""
        version = clip["lineage"]["version"]
        yield f"  but no threshold of version {version} rejects it{lacks}; it was never cut:"
        yield "  it stays rejected until curate is run again, with a recipe that has these thresholds"


def _check(check: dict[str, Any]) -> str:
    sign = ">=" if check["side"] == "min" else "<="
    value = "not scored" if check["value"] is None else f"{check['value']:.4g}"
    mark = {True: "ok", False: "FAILS", None: ""}[check["passes"]]
    name = f"{check['filter']}.{check['field']}"
    return f"    {name:<32} {value:>10} {sign} {check['threshold']:<8g} {mark}".rstrip()
