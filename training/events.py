"""The job's voice: JSON lines on standard output that the command line follows; all else there is noise."""

from __future__ import annotations

import json
import sys
from typing import Any

PREFIX = "@omnivideo "


def emit(event: str, **fields: Any) -> None:
    """Print one event (`progress`, `result` or `error`) on a line of its own."""
    sys.stdout.write(PREFIX + json.dumps({"event": event, **fields}, default=str) + "\n")
    sys.stdout.flush()
