"""How commands answer on standard output."""

from __future__ import annotations

from typing import Any

import typer


def print_json(result: dict[str, Any]) -> None:
    """Print one JSON object in one line."""
    import json

    typer.echo(json.dumps(result, default=str))
