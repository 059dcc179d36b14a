"""Where this machine keeps what outlives a command: the local cluster's address, its token, the logs."""

from __future__ import annotations

import os
import time
from pathlib import Path


def home() -> Path:
    """Return the state folder: `$OMNIVIDEO_HOME`, or `~/.cache/omnivideo`; made if absent."""
    folder = Path(os.environ.get("OMNIVIDEO_HOME") or Path.home() / ".cache" / "omnivideo")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def new_log(command: str) -> Path:
    """Return the path of a new log file for one run of `command`."""
    folder = home() / "logs"
    folder.mkdir(exist_ok=True)
    return folder / f"{time.strftime('%Y%m%d-%H%M%S')}-{command}-{os.getpid()}.log"
