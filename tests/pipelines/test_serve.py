"""`omnivideo deploy` on a real Prefect server of one machine."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.pipelines.conftest import CommandLine

HOLD = """
import sys
from pipelines import server
with server.running(int(sys.argv[1])) as url:
    print(url, flush=True)
    sys.stdin.read()
"""


@pytest.fixture(scope="module")
def holder(command_line: CommandLine) -> Iterator[subprocess.Popen[str]]:
    """A process that has a server like that of `omnivideo serve`, and prints its URL."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-c", HOLD, str(port)]
    with subprocess.Popen(
        command, env=command_line.env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holding:
        yield holding
        holding.communicate("")


@pytest.fixture(scope="module")
def served(holder: subprocess.Popen[str]) -> str:
    """The server's URL."""
    assert holder.stdout is not None
    return holder.stdout.readline().strip()


def ask(url: str, path: str, password: str | None, told: dict[str, Any] | None = None) -> Any:
    """The JSON that the server answers, to a POST if it is told something; asked again while it is busy."""
    body = None if told is None else json.dumps(told).encode()
    request = urllib.request.Request(f"{url}/{path}", body, {"content-type": "application/json"})
    if password:
        import base64

        request.add_header("Authorization", "Basic " + base64.b64encode(password.encode()).decode())
    for _ in range(20):
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            if error.code != 503:  # its database is locked: Prefect's own clients ask again too
                raise
            time.sleep(0.5)
    raise TimeoutError(f"{url}/{path} was busy for 10 seconds")


def test_a_recipe_is_deployed_with_its_schedule(served: str, command_line: CommandLine) -> None:
    """The deployment has the schedule, the recipe as a typed form, and a limit of one run at a time."""
    schedule = "schedule={cron: '0 2 * * *', timezone: Europe/Berlin}"
    done = command_line.run("deploy", "tiny", "--set", schedule, "--out", "nightly", "--name", "nightly")
    assert done.returncode == 0, done.stderr
    password = (Path(command_line.env["OMNIVIDEO_HOME"]) / "prefect_auth").read_text()
    made = ask(served, "deployments/name/scheduled-curate/nightly", password)
    assert made["schedules"][0]["schedule"] == {
        "cron": "0 2 * * *",
        "timezone": "Europe/Berlin",
        "day_or": True,
    }
    assert made["parameters"]["out"] == str(command_line.folder / "nightly")
    assert made["parameters"]["recipe"]["sources"][0]["sample"] is True
    assert "Recipe" in made["parameter_openapi_schema"]["definitions"]
    assert made["global_concurrency_limit"]["limit"] == 1


def test_a_slot_is_written_down(served: str, command_line: CommandLine) -> None:
    """Who holds a deployment's slot is known to a server that is started again."""
    password = (Path(command_line.env["OMNIVIDEO_HOME"]) / "prefect_auth").read_text()
    ask(served, "v2/concurrency_limits/", password, {"name": "slot", "limit": 1})
    wanted = {"names": ["slot"], "slots": 1, "lease_duration": 60}
    given = ask(served, "v2/concurrency_limits/increment-with-lease", password, wanted)
    written = Path(command_line.env["PREFECT_HOME"]) / "concurrency_leases" / f"{given['lease_id']}.json"
    assert json.loads(written.read_text())["resource_ids"] == [given["limits"][0]["id"]]


def test_training_waits_for_new_versions(served: str, command_line: CommandLine) -> None:
    """`--flow train --data` runs each time that dataset has a new version."""
    done = command_line.run("deploy", "tiny", "--flow", "train", "--data", "nightly", "--name", "trainer")
    assert done.returncode == 0, done.stderr
    assert "scheduled-train/trainer" in done.stdout


def test_without_the_password_there_is_no_answer(served: str) -> None:
    """Calls that present no credentials get 401."""
    with pytest.raises(urllib.error.HTTPError) as caught:
        ask(served, "work_pools/omnivideo", None)
    assert caught.value.code == 401


def test_a_killed_server_is_started_again(
    served: str, holder: subprocess.Popen[str], command_line: CommandLine
) -> None:
    """After kill -9 of the server and all its processes it answers again, and knows what was deployed."""
    password = (Path(command_line.env["OMNIVIDEO_HOME"]) / "prefect_auth").read_text()
    killed = psutil.Process(holder.pid).children(recursive=True)
    for process in killed:
        process.kill()
    psutil.wait_procs(killed)
    while True:
        with contextlib.suppress(OSError):
            assert ask(served, "work_pools/omnivideo", password)["name"] == "omnivideo"
            break
        time.sleep(0.5)


def test_without_a_server_nothing_is_deployed(tmp_path: Path) -> None:
    """One line says what to start."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    done = subprocess.run(
        [sys.executable, "-m", "pipelines.cli", "deploy", "tiny"],
        env={**env, "OMNIVIDEO_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "omnivideo serve" in done.stderr
