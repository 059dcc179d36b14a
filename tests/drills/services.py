"""What the drill owns and kills: a Prefect server, a Ray cluster, and the processes of a run."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from pipelines import cluster, server

WAIT_SECONDS = 180.0


class Services:
    """A Prefect server and a Ray cluster of the drill's own, started again whenever they are gone."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.env: dict[str, str] = {}
        self._server: subprocess.Popen[bytes] | None = None
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._port = probe.getsockname()[1]

    def up(self) -> str:
        """See that both are there; return the cluster's address."""
        os.environ["OMNIVIDEO_HOME"] = str(self.folder / "home")
        os.environ["PREFECT_HOME"] = str(self.folder / "prefect")
        os.environ["PREFECT_API_URL"] = f"http://127.0.0.1:{self._port}/api"
        password = server.password_file().read_text().strip()
        os.environ["PREFECT_API_AUTH_STRING"] = os.environ["PREFECT_SERVER_API_AUTH_STRING"] = password
        if self._server is None or self._server.poll() is not None:
            command = [sys.executable, "-m", "prefect", "server", "start", "--port", str(self._port)]
            log = (self.folder / "server.log").open("ab")
            self._server = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
        with cluster.locked():
            address = cluster.ensure(num_cpus=2)
        _until(lambda: server.answers(os.environ["PREFECT_API_URL"]), "the Prefect server")
        return address

    def down(self) -> None:
        """End both."""
        self.kill_server()
        with cluster.locked():
            cluster.stop()

    def kill_server(self) -> bool:
        """SIGKILL to the Prefect server and its children."""
        if self._server is None:
            return False
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._server.pid, signal.SIGKILL)
        self._server.wait()
        return True


def kill_raylet() -> bool:
    """SIGKILL to this machine's raylet: its node is gone, and everything that ran there."""
    return _kill([one for one in _of_the_cluster() if one.name() == "raylet"])


def kill_worker() -> bool:
    """SIGKILL to one process that works for a job."""
    busy = ("ray::MapWorker", "ray::RayTrainWorker", "ray::_Worker")
    return _kill([one for one in _of_the_cluster() if _title(one).startswith(busy)])


def kill_driver(module: str, out: str) -> bool:
    """SIGKILL to the driver of the job that writes to `out`: it has a session of its own."""
    ours = [one for one in psutil.process_iter() if _title(one).startswith(f"python -m {module} ")]
    return _kill([one for one in ours if out in _title(one)])


def _kill(found: list[psutil.Process]) -> bool:
    if not found:
        return False
    with contextlib.suppress(psutil.NoSuchProcess):
        random.choice(found).kill()
        return True
    return False


def _of_the_cluster() -> list[psutil.Process]:
    state = cluster._read_state() or {"pid": -1}
    members = cluster._session_members(int(str(state["pid"])))
    found = []
    for pid in members:
        with contextlib.suppress(psutil.NoSuchProcess):
            found.append(psutil.Process(pid))
    return found


def _title(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def _until(holds: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while not holds():
        if time.monotonic() > deadline:
            raise RuntimeError(f"{what} did not come up")
        time.sleep(0.3)
