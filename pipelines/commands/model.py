"""Commands about a trained model: generate and ask."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from pipelines.commands.answers import print_json
from pipelines.commands.options import Json, Model


def register(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    from pipelines.console import reports_errors

    for command in (generate, ask):
        app.command()(reports_errors(command))


def generate(
    model: Model,
    prompt: Annotated[str, typer.Argument(metavar="PROMPT")],
    source: Annotated[str | None, typer.Option(metavar="MEDIA", help="edit this image or video")] = None,
    think: Annotated[bool, typer.Option("--think", help="let the model rewrite the prompt first")] = False,
    out: Annotated[
        str, typer.Option(metavar="FILE", help=".mp4 for a video, .png for an image")
    ] = "sample.mp4",
    frames: Annotated[int | None, typer.Option(min=1, help="4n+1; 1 for an image")] = None,
    height: Annotated[int | None, typer.Option(help="pixels, a multiple of 16")] = None,
    width: Annotated[int | None, typer.Option(help="pixels, a multiple of 16")] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="default: 50 for an image, 40 for a video")] = None,
    guidance: Annotated[float | None, typer.Option(help="default: 5.0 for an image, 3.0 for a video")] = None,
    fps: Annotated[int | None, typer.Option(min=1, help="of the video")] = None,
    lora: Annotated[str | None, typer.Option(metavar="FOLDER", help="add this LoRA to the model")] = None,
    seed: Annotated[int, typer.Option()] = 0,
    json: Json = False,
) -> None:
    """Generate an image or a video from a prompt, or edit a source."""
    from pipelines import generation

    sizes = {"num_frames": frames, "height": height, "width": width, "fps": fps}
    options: dict[str, Any] = {**sizes, "steps": steps, "guidance_scale": guidance, "seed": seed}
    result = generation.generate(model, prompt, out, source=source, think=think, lora=lora, **options)
    if json:
        print_json(result)
        return
    if think:
        typer.echo(f"rewritten  {result['prompt']}")
    typer.echo(result["file"])


def ask(
    model: Model,
    media: Annotated[str, typer.Argument(metavar="MEDIA", help="an image or a video")],
    question: Annotated[str, typer.Argument(metavar="QUESTION")],
    json: Json = False,
) -> None:
    """Ask a model about an image or a video."""
    from pipelines import generation

    result = generation.ask(model, media, question)
    if json:
        print_json(result)
    else:
        typer.echo(result["answer"])
