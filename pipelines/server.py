"""One machine's Prefect server: on loopback, asking for a password, alive as long as `omnivideo serve`."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import secrets
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from curation.errors import InputError
from pipelines.home import home

START_SECONDS = 120.0
WATCH_SECONDS = 2.0  # between looks at whether it still runs
PORT = 4200
# Who holds a deployment's one slot. In memory, Prefect's default, a server started again has forgotten it: it
# ends the run that holds the slot and, if that run is gone too, never gives the slot to another.
LEASES = {
    "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "prefect.server.concurrency.lease_storage.filesystem",
}


class ServerError(RuntimeError):
    """The Prefect server did not start; the message names its log."""


def connect() -> str:
    """Point this process at the server: `PREFECT_API_URL`, or the one that `omnivideo serve` runs here.

    Before anything imports Prefect, which reads its settings then. Raises InputError if there is none.
    """
    url = os.environ.get("PREFECT_API_URL") or served()
    if url is None:
        what = "there is no Prefect server to deploy to"
        step = "run `omnivideo serve` in another terminal, or set PREFECT_API_URL"
        raise InputError(what, "deploying", step)
    _use(url)
    if not answers(url):
        raise InputError(
            f"the Prefect server {url} does not answer", "deploying", "start it, or check the URL"
        )
    return url


@contextlib.contextmanager
def running(port: int = PORT) -> Iterator[str]:
    """Yield the URL of the server that `PREFECT_API_URL` names, or of one of our own while the block runs.

    One of our own that dies is started again: what runs waits for it some minutes.
    """
    given = os.environ.get("PREFECT_API_URL")
    if given:
        yield given
        return
    url = f"http://127.0.0.1:{port}/api"
    _use(url)
    server = _Server(port)
    try:
        _wait(url, server.process, server.log)
        _state_file().write_text(json.dumps({"url": url}))
        server.watch()
        yield url
    finally:
        _state_file().unlink(missing_ok=True)
        server.close()


class _Server:
    """A server's process, its log, and who looks after it."""

    def __init__(self, port: int) -> None:
        self.log = home() / "logs" / "prefect-server.log"
        self.log.parent.mkdir(exist_ok=True)
        place = ("--host", "127.0.0.1", "--port", str(port))
        self._command = [sys.executable, "-m", "prefect", "server", "start", *place]
        self.log.unlink(missing_ok=True)
        self.process = self._start()
        self._closed = threading.Event()
        self._watcher = threading.Thread(target=self._keep, daemon=True)

    def watch(self) -> None:
        """From now on start it again whenever it ends."""
        self._watcher.start()

    def close(self) -> None:
        """End it for good."""
        self._closed.set()
        if self._watcher.is_alive():
            self._watcher.join()
        end(self.process)
        self._sweep()

    def _start(self) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as out:
            return subprocess.Popen(
                self._command, stdout=out, stderr=out, env=_server_env(), start_new_session=True
            )

    def _keep(self) -> None:
        while not self._closed.wait(WATCH_SECONDS):
            if self.process.poll() is not None:
                self._sweep()
                self.process = self._start()

    def _sweep(self) -> None:
        """End what is left of its session: the API is a process of its own, and would hold the port."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)


def end(process: subprocess.Popen[bytes], seconds: float = 10.0) -> None:
    """End a child, politely first."""
    process.terminate()
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def answers(url: str) -> bool:
    """Whether a Prefect API answers at `url` with this process's credentials."""
    request = urllib.request.Request(f"{url}/admin/version")
    password = os.environ.get("PREFECT_API_AUTH_STRING")
    if password:
        request.add_header("Authorization", "Basic " + base64.b64encode(password.encode()).decode())
    try:
        with urllib.request.urlopen(request, timeout=5):
            return True
    except OSError:
        return False


def password_file() -> Path:
    """Where the user and password of the server on this machine stand, readable for its user alone."""
    path = home() / "prefect_auth"
    if not path.exists():
        path.touch(mode=0o600)
        path.write_text(f"omnivideo:{secrets.token_urlsafe(24)}")
    return path


def served() -> str | None:
    """The URL of the server that `omnivideo serve` runs on this machine, if it does."""
    try:
        return str(json.loads(_state_file().read_text())["url"])
    except (FileNotFoundError, json.JSONDecodeError, KeyError):
        return None


def _use(url: str) -> None:
    """The environment of this process and its children; a server elsewhere has its own password set."""
    if not os.environ.get("PREFECT_API_URL"):
        os.environ["PREFECT_API_AUTH_STRING"] = password_file().read_text().strip()
    os.environ["PREFECT_API_URL"] = url
    os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
    os.environ.setdefault("DO_NOT_TRACK", "1")


def _server_env() -> dict[str, str]:
    auth = {"PREFECT_SERVER_API_AUTH_STRING": os.environ["PREFECT_API_AUTH_STRING"]}
    return {**LEASES, **os.environ, **auth}


def _state_file() -> Path:
    return home() / "prefect-server.json"


def _wait(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise ServerError(f"Prefect's server did not start (exit code {process.returncode}); see {log}")
        if answers(url):
            return
        time.sleep(0.3)
    raise ServerError(f"Prefect's server did not answer within {START_SECONDS:.0f} s; see {log}")
