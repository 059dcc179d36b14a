"""The job's voice: JSON lines on standard output that the command line follows; all else there is noise."""

from __future__ import annotations

import json
import sys
from typing import Any

PREFIX = "@omnivideo "


_said: dict[str, Any] = {}  # what every event of this process says, too


def speak_for(run_id: str) -> None:
    """Have each event from now on name its run."""
    _said.update(run_id=run_id)


def emit(event: str, **fields: Any) -> None:
    """Print one event (`progress`, `result` or `error`) on a line of its own."""
    sys.stdout.write(PREFIX + json.dumps({"event": event, **fields, **_said}, default=str) + "\n")
    sys.stdout.flush()
