"""Running commands in the test's own process: enough for those that start nothing."""

from __future__ import annotations

import json
from typing import Any

from typer.testing import CliRunner

from pipelines.cli import app


def say(*arguments: str) -> str:
    """What a command prints; it must succeed."""
    done = CliRunner().invoke(app, list(arguments))
    assert done.exit_code == 0, done.output
    return done.stdout


def ask(*arguments: str) -> dict[str, Any]:
    """The JSON object that a command prints, alone on standard output."""
    result: dict[str, Any] = json.loads(say(*arguments, "--json"))
    return result


def refused(*arguments: str) -> str:
    """The one line that a command says about bad input."""
    done = CliRunner().invoke(app, list(arguments))
    assert done.exit_code == 2, done.output
    assert done.stdout == ""
    (line,) = done.stderr.strip().splitlines()
    return line
