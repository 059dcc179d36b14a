"""What a job says while it runs: lines of JSON on standard output, marked so that noise can be told apart."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from typing import Any

PREFIX = "@omnivideo "
SECONDS_BETWEEN = 0.5

Emit = Callable[[dict[str, Any]], None]


_said: dict[str, Any] = {}  # what every event of this process says, too


def speak_for(run_id: str) -> None:
    """Have each event from now on name its run."""
    _said.update({"run_id": run_id} if run_id else {})


def emit(event: dict[str, Any]) -> None:
    """Print one event."""
    sys.stdout.write(PREFIX + json.dumps({**event, **_said}) + "\n")
    sys.stdout.flush()


class Stage:
    """The counts of one stage, told as they grow, at most twice a second."""

    def __init__(self, name: str, emit: Emit, total: int | None = None) -> None:
        self.name = name
        self.total = total
        self.counts = dict.fromkeys(("in", "kept", "rejected", "errors", "reused"), 0)
        self._emit = emit
        self._started = time.monotonic()
        self._told = 0.0

    def add(self, into: int, *, kept: int = 0, rejected: int = 0, errors: int = 0, reused: int = 0) -> None:
        """Count what went in and what came out; `reused`: how much of what went in an earlier run did."""
        for key, count in zip(self.counts, (into, kept, rejected, errors, reused), strict=True):
            self.counts[key] += count
        if time.monotonic() - self._told >= SECONDS_BETWEEN:
            self._tell(done=False)

    def done(self) -> None:
        """Tell the final counts."""
        self.total = self.counts["in"]
        self._tell(done=True)

    def _tell(self, done: bool) -> None:
        self._told = time.monotonic()
        seconds = round(self._told - self._started, 3)
        event = {"event": "progress", "stage": self.name, **self.counts}
        self._emit({**event, "total": self.total, "seconds": seconds, "done": done})
