"""Ends embedded Prefect servers whose command was killed: nothing else would, and each holds 300 MB."""

from __future__ import annotations

import contextlib
import os

OWNER = "OMNIVIDEO_COMMAND_PID"  # what a server inherits from the command that starts it
SERVER = "prefect.server.api.server:create_app"


def own_servers() -> None:
    """Mark the servers that this process starts as its own."""
    os.environ[OWNER] = str(os.getpid())


def sweep() -> int:
    """End servers whose owner is gone; return how many there were."""
    import psutil

    ended = 0
    for process in psutil.process_iter(["cmdline"]):
        with contextlib.suppress(psutil.Error):
            if SERVER not in (process.info["cmdline"] or ()):
                continue
            owner = process.environ().get(OWNER)
            if owner and not psutil.pid_exists(int(owner)):
                process.terminate()
                ended += 1
    return ended
