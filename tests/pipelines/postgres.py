"""A PostgreSQL of one's own on loopback, from whatever binaries this machine has."""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

START_SECONDS = 60.0


def binaries() -> Path | None:
    """The folder of `postgres` and `initdb`, None if there is none (Debian keeps them off the PATH)."""
    found = [Path(shutil.which("initdb") or "/nowhere").parent]
    found += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((one for one in found if (one / "initdb").is_file() and (one / "postgres").is_file()), None)


@contextmanager
def running(bin_folder: Path) -> Iterator[str]:
    """Yield `USER:PASSWORD@HOST:PORT/DATABASE` of a new, empty server that asks for its password."""
    owner = "postgres" if os.geteuid() == 0 else None  # it refuses to run as root
    with tempfile.TemporaryDirectory(prefix="omnivideo-pg-") as folder:
        password, given = secrets.token_hex(12), Path(folder) / "password"
        given.write_text(password)
        if owner:
            for path in (Path(folder), given):
                shutil.chown(path, owner)
        data = f"{folder}/data"
        init = (bin_folder / "initdb", "-D", data, "-U", "omnivideo", "-A", "scram-sha-256", "--no-sync")
        subprocess.run([*init, f"--pwfile={given}"], user=owner, check=True, stdout=subprocess.DEVNULL)
        port = free_port()
        command = [bin_folder / "postgres", "-D", data, "-p", str(port), "-h", "127.0.0.1", "-k", folder]
        log = Path(folder) / "log"
        with log.open("w") as out, subprocess.Popen(command, user=owner, stderr=out, cwd="/") as server:
            try:
                _wait(server, log)
                yield f"omnivideo:{password}@127.0.0.1:{port}/postgres"
            finally:
                server.terminate()


def _wait(server: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while "ready to accept connections" not in log.read_text():
        if server.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"PostgreSQL did not start: {log.read_text()}")
        time.sleep(0.05)


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
