"""Whole jobs, `python -m curation.job`, seen from outside: when the first clip comes, how much memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import psutil

from curation.config import CurateRequest
from curation.events import PREFIX

EVERY_SECONDS = 0.5
MIB = 2**20


class Watched(NamedTuple):
    """Of one job: seconds until a clip was judged and until its end, clips, and the most memory at once."""

    first_s: float
    whole_s: float
    clips: int
    driver_mib: float  # resident, of the job's own process
    largest_worker_mib: float  # resident, of the largest of the others (not Ray's own daemons)


def job(folder: Path, filters: Sequence[Any], **more: Any) -> Watched:
    """Run a job over a folder on a Ray of its own."""
    with tempfile.TemporaryDirectory(prefix="omnivideo-speed-") as room:
        plain = {"sources": [{"folder": str(folder)}], "filters": list(filters), "out": f"{room}/dataset"}
        request = CurateRequest.model_validate({**plain, **more})
        path = Path(room, "request.json")
        path.write_text(request.model_dump_json())
        command = [sys.executable, "-m", "curation.job", str(path)]
        environment = {**os.environ, "RAY_ADDRESS": "local"}
        began = time.monotonic()
        with (
            subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as running,
            _watching(running.pid) as most,
        ):
            assert running.stdout is not None
            events = [(time.monotonic() - began, event) for event in _events(running.stdout)]
    judged = [at for at, event in events if event.get("stage") == "filters" and event["in"]]
    at, result = events[-1]
    assert result["event"] == "result", result
    return Watched(judged[0], at, result["funnel"]["clips"], most["driver"], most["worker"])


def _events(lines: Iterator[str]) -> Iterator[dict[str, Any]]:
    for line in lines:
        if line.startswith(PREFIX):
            yield json.loads(line.removeprefix(PREFIX))


@contextmanager
def _watching(pid: int) -> Iterator[dict[str, float]]:
    """Resident MiB of the driver and of its largest descendant that works for it, at most so far."""
    most = {"driver": 0.0, "worker": 0.0}
    done = threading.Event()

    def look() -> None:
        driver = psutil.Process(pid)
        while not done.wait(EVERY_SECONDS):
            try:
                others = [one for one in driver.children(recursive=True) if _works(one)]
                most["driver"] = max(most["driver"], driver.memory_info().rss / MIB)
                most["worker"] = max([most["worker"], *(one.memory_info().rss / MIB for one in others)])
            except psutil.Error:
                continue

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield most
    finally:
        done.set()
        thread.join()


def _works(process: psutil.Process) -> bool:
    """Whether it is a worker of the engine or one of their children that decode."""
    command = " ".join(process.cmdline())
    return "MapWorker" in command or "curation.media.serve" in command
