"""The command that judges a trained model."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from pipelines.commands.answers import print_json
from pipelines.commands.options import Json, Model


def register(app: typer.Typer) -> None:
    """Add this command to the command line."""
    from pipelines.console import reports_errors

    app.command()(reports_errors(evaluate))


def evaluate(
    model: Model,
    out: Annotated[str | None, typer.Option(metavar="FOLDER", help="default: MODEL-evaluation")] = None,
    part: Annotated[
        list[str] | None,
        typer.Option(
            help="image, video, image_edit, video_edit, image_questions, video_questions or think; repeatable"
        ),
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="prompts of each category; default: all")] = None,
    samples: Annotated[int | None, typer.Option(min=1, help="images a prompt; default: 4")] = None,
    size: Annotated[int | None, typer.Option(help="pixels a side; default: the model's height")] = None,
    frames: Annotated[int | None, typer.Option(min=5, help="4n+1, of videos; default: the model's")] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="of sampling; default: the model's")] = None,
    guidance: Annotated[float | None, typer.Option(help="default: the model's")] = None,
    batch: Annotated[int | None, typer.Option(min=1, help="prompts at once; default: 16")] = None,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    geneval: Annotated[
        str | None, typer.Option(metavar="FILE", help="GenEval's own prompts: evaluation_metadata.jsonl")
    ] = None,
    detector: Annotated[
        str | None, typer.Option(metavar="DIR", help="for GenEval: Mask2Former of COCO's instances")
    ] = None,
    clip: Annotated[str | None, typer.Option(metavar="DIR", help="for GenEval: CLIP ViT-L/14")] = None,
    export_vbench: Annotated[
        str | None, typer.Option(metavar="DIR", help="write videos and prompts for VBench's custom mode")
    ] = None,
    vbench_prompts: Annotated[
        str | None, typer.Option(metavar="FILE", help="a prompt a line; default: those of videos of shapes")
    ] = None,
    json: Json = False,
) -> None:
    """Judge a model: generation as GenEval scores it, motion, edits, answers and think mode."""
    from pipelines import evaluation, scores

    sizes = {"size": size, "num_frames": frames, "steps": steps, "guidance_scale": guidance}
    plan: dict[str, Any] = {**sizes, "limit": limit, "image_samples": samples, "batch": batch}
    where = out or f"{model.rstrip('/')}-evaluation"
    outside = evaluation.Outside(geneval, detector, clip, export_vbench, vbench_prompts)
    report = evaluation.evaluate(
        model, where, part or (), lambda text: typer.echo(text, err=True), seed, outside, **plan
    )
    if json:
        print_json(report)
        return
    for text in scores.lines(report["scores"]):
        typer.echo(text)
    typer.echo(f"page             {report['page']}")
