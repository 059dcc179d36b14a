"""Options that several commands share, so that they read the same everywhere."""

from __future__ import annotations

from typing import Annotated

import typer

Recipe = Annotated[
    str, typer.Argument(metavar="RECIPE", help="a YAML file, or a built-in recipe's name (tiny)")
]
Dataset = Annotated[str, typer.Argument(metavar="DATASET", help="a dataset's folder or URL")]
Model = Annotated[
    str, typer.Argument(metavar="MODEL", help="a model's folder, or shapes-tiny, which comes along")
]
Sources = Annotated[
    list[str] | None,
    typer.Option(
        "--source", metavar="PATH", help="a folder, file or URL in place of the recipe's sources; repeatable"
    ),
]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="override a key by its dotted path; repeatable"),
]
Json = Annotated[
    bool, typer.Option("--json", help="print one JSON object on standard output, nothing else there")
]
