"""The local Ray cluster: started where no address is given, shared by a user's commands, stopped when idle.

It runs in a session of its own, so that a killed command leaves its job running and the next command finds it
again. Everything binds to loopback and asks for a token (Ray's API runs whatever it is sent: CVE-2023-48022).
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from pipelines.home import home

START_SECONDS = 90.0
SILENT_SECONDS = 30.0  # a busy machine's cluster may answer late; one that is ended takes its jobs along
OBJECT_STORE_BYTES = 1 << 30  # stages hand each other paths, scores and single clips: small things


class ClusterError(RuntimeError):
    """The local Ray cluster did not start; the message names its log."""


def _state_file() -> Path:
    # One cluster per environment: workers must run the same interpreter and the same Ray as the command.
    return home() / f"cluster-{_key(sys.prefix)}.json"


def _key(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def folder() -> Path:
    """Return where the local cluster keeps its sockets and logs: short, as a socket's name holds 107 bytes.

    Each cluster needs its own. Ray notes there which cluster was started last and gives every job that
    address: of two that share a folder, one has its jobs sent to the other, which refuses its token.
    """
    return Path(os.environ.get("RAY_TMPDIR", "/tmp")) / f"ray-omnivideo-{_key(str(_state_file()))}"


def _token_file() -> Path:
    path = home() / "ray_auth_token"
    if not path.exists():
        path.touch(mode=0o600)
        path.write_text(secrets.token_hex(32))
    return path


def use_token() -> None:
    """Make this process, and all it starts, present the local cluster's token to the cluster it is told."""
    for overrides in ("RAY_ADDRESS", "RAY_API_SERVER_ADDRESS"):  # Ray takes these before any argument
        os.environ.pop(overrides, None)
    if "RAY_AUTH_MODE" not in os.environ:
        os.environ["RAY_AUTH_MODE"] = "token"
    if os.environ["RAY_AUTH_MODE"] == "token" and not os.environ.get("RAY_AUTH_TOKEN"):
        os.environ.setdefault("RAY_AUTH_TOKEN_PATH", str(_token_file()))


@contextlib.contextmanager
def locked() -> Iterator[None]:
    """Hold the one lock under which a cluster is started, given work, or stopped."""
    with (home() / "cluster.lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def ensure(num_cpus: int | None = None) -> str:
    """Return the address of a live local cluster (`http://127.0.0.1:PORT`), starting one if there is none.

    Call under `locked()`. Raises ClusterError if none comes up within 90 seconds.
    """
    use_token()
    state = _read_state()
    if state and _lives_still(str(state["address"]), int(str(state["pid"]))):
        return str(state["address"])
    if state:
        _kill_session(int(str(state["pid"])))
    return _start(num_cpus or max(2, len(os.sched_getaffinity(0))))


def current() -> str | None:
    """Return the address of the local cluster that a command started, if it still lives."""
    state = _read_state()
    return str(state["address"]) if state and is_alive(str(state["address"])) else None


def stop() -> None:
    """Stop the local cluster, if one runs. Call under `locked()`."""
    state = _read_state()
    if state:
        _kill_session(int(str(state["pid"])))
        _state_file().unlink(missing_ok=True)


def is_alive(address: str) -> bool:
    """Tell whether a Ray dashboard answers at `address` (401 counts: it lives, but wants another token)."""
    try:
        with urllib.request.urlopen(f"{address}/api/version", timeout=5):
            return True
    except urllib.error.HTTPError as error:
        return error.code in {401, 403}
    except OSError:
        return False


def _lives_still(address: str, leader: int) -> bool:
    """Whether a cluster answers within 30 seconds; not waited for if its processes are gone."""
    deadline = time.monotonic() + SILENT_SECONDS
    while not is_alive(address):
        if time.monotonic() > deadline or not _session_members(leader):
            return False
        time.sleep(0.5)
    return True


def _read_state() -> dict[str, object] | None:
    try:
        state: dict[str, object] = json.loads(_state_file().read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return None
    return state


def _start(num_cpus: int) -> str:
    port = _free_port()
    log = home() / "logs" / f"ray-{port}.log"
    log.parent.mkdir(exist_ok=True)
    shutil.rmtree(folder(), ignore_errors=True)  # sockets and logs of the one before
    command = [
        *(sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--block", "--port=0"),
        *("--node-ip-address=127.0.0.1", "--dashboard-host=127.0.0.1", f"--dashboard-port={port}"),
        *(f"--num-cpus={num_cpus}", f"--object-store-memory={OBJECT_STORE_BYTES}", "--disable-usage-stats"),
        *("--dashboard-agent-listen-port=0", "--dashboard-agent-grpc-port=0", f"--temp-dir={folder()}"),
    ]
    with log.open("w") as out:
        process = subprocess.Popen(
            command, stdout=out, stderr=subprocess.STDOUT, start_new_session=True, env=_cluster_env()
        )
    address = f"http://127.0.0.1:{port}"
    _state_file().write_text(json.dumps({"address": address, "pid": process.pid}))
    _wait(address, process, log)
    return address


def _cluster_env() -> dict[str, str]:
    quiet = {
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_JOB_STOP_WAIT_TIME_S": "30",  # 3 s by default: too short for a checkpoint
        "PYTHONUNBUFFERED": "1",
        "RAY_DEDUP_LOGS": "0",
    }
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    return {**os.environ, **quiet, "PATH": path}


def _wait(address: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise ClusterError(f"Ray did not start (exit code {process.returncode}); see {log}")
        if is_alive(address):
            return
        time.sleep(0.2)
    _kill_session(process.pid)
    raise ClusterError(f"Ray did not answer within {START_SECONDS:.0f} s; see {log}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _kill_session(leader: int) -> None:
    """End every process of the session that `leader` opened, politely first."""
    for send, seconds in ((signal.SIGTERM, 3.0), (signal.SIGKILL, 5.0)):
        members = _session_members(leader)
        for pid in members:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, send)
        deadline = time.monotonic() + seconds
        while _session_members(leader) and time.monotonic() < deadline:
            time.sleep(0.1)


def _session_members(leader: int) -> list[int]:
    import psutil

    members = []
    for process in psutil.process_iter():
        with contextlib.suppress(ProcessLookupError, PermissionError, psutil.Error):
            if os.getsid(process.pid) == leader and process.status() != psutil.STATUS_ZOMBIE:
                members.append(process.pid)
    return members
