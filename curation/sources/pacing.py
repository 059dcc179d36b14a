"""Turns at hosts: all processes of a user on a machine together ask each at most so often."""

from __future__ import annotations

import fcntl
import hashlib
import os
import tempfile
import time
from pathlib import Path


def turn_at(host: str, seconds_between: float) -> None:
    """Wait for this process's turn at a host, and take it."""
    if seconds_between <= 0:
        return
    with _slot(host).open("a+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        text = file.read().decode("ascii", "ignore")
        now = time.time()
        last = float(text) if text.replace(".", "", 1).isdigit() else 0.0
        mine = max(now, min(last, now + 3600.0) + seconds_between)  # a clock may have been set back
        file.truncate(0)
        file.write(f"{mine:.3f}".encode())
        file.flush()
    time.sleep(max(0.0, mine - now))


def _slot(host: str) -> Path:
    folder = Path(tempfile.gettempdir()) / f"omnivideo-hosts-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder / hashlib.sha256(host.lower().encode()).hexdigest()[:24]
