"""The command that makes the world of shapes: media with ground truth, to learn from and to be judged by."""

from __future__ import annotations

from typing import Annotated

import typer

from pipelines.commands.answers import print_json
from pipelines.commands.options import Json


def register(app: typer.Typer) -> None:
    """Add this command to the command line."""
    from pipelines.console import reports_errors

    app.command()(reports_errors(shapes))


def shapes(
    folder: Annotated[str, typer.Argument(metavar="FOLDER", help="where to write it")],
    rows: Annotated[int, typer.Option(min=1, help="of all six tasks together")] = 2000,
    size: Annotated[int, typer.Option(help="pixels a side, even")] = 64,
    fps: Annotated[int, typer.Option(min=1, help="of the videos")] = 24,
    seconds: Annotated[float, typer.Option(min=0.1, help="of the videos")] = 1.0,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    test: Annotated[bool, typer.Option("--test", help="also show what training holds out")] = False,
    json: Json = False,
) -> None:
    """Make a world of coloured shapes: images, videos, questions and edits whose truth is known."""
    import os

    from omnivideo.shapes.rows import Look
    from omnivideo.shapes.writing import write

    counts = write(
        folder, rows, seed, "test" if test else "train", Look(size, fps, seconds), os.cpu_count() or 1
    )
    if json:
        print_json({"folder": folder, "rows": counts})
        return
    for task, count in counts.items():
        typer.echo(f"{task:<20} {count:>8,}")
    typer.echo(f"written to {folder}")
