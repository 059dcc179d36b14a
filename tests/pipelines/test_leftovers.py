"""Servers that outlive their command."""

from __future__ import annotations

import os
import subprocess
import sys

from pipelines import leftovers


def server(owner: int) -> subprocess.Popen[bytes]:
    """A process that looks like a Prefect server started by the process `owner`."""
    sleeping = [sys.executable, "-c", "import time; time.sleep(60)", leftovers.SERVER]
    return subprocess.Popen(sleeping, env={**os.environ, leftovers.OWNER: str(owner)})


def test_only_servers_of_dead_commands_are_ended() -> None:
    """A server whose command was killed is ended, one whose command lives is not."""
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    orphan, living = server(gone.pid), server(os.getpid())
    try:
        leftovers.sweep()
        assert orphan.wait(timeout=10) != 0
        assert living.poll() is None
    finally:
        living.kill()
        living.wait()
