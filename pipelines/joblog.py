"""What a job says, as a file: line by line as it comes, or with OMNIVIDEO_LOG=json a JSON object a line."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any

VARIABLE = "OMNIVIDEO_LOG"


class JobLog:
    """The log of one job; JSON goes into a file beside `path`, which may take libraries' noise, too.

    Each object has `time` (UTC), `job` and `run_id`, then an event's own fields, or `event` and `text`.
    """

    def __init__(self, path: Path, job: str, run_id: str) -> None:
        self._json = os.environ.get(VARIABLE, "text") == "json"
        self.path = path.with_suffix(".jsonl") if self._json else path
        self._about = {"job": job, "run_id": run_id}
        self._file = self.path.open("a", encoding="utf-8")

    def __enter__(self) -> JobLog:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def write(self, line: str, event: dict[str, Any] | None) -> None:
        """Add one line of the job's output; `event` is what it says, if it is an event."""
        if self._json:
            now = datetime.now(UTC).isoformat(timespec="milliseconds")
            said = event or {"event": "output", "text": line}
            line = json.dumps({"time": now, **self._about, **said}, ensure_ascii=False)
        self._file.write(line + "\n")
        self._file.flush()
