"""Doctor on real services: a Ray cluster with a token, a server without a password, stores."""

from __future__ import annotations

import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from pipelines import services
from pipelines.findings import Finding
from tests.curation.sources.conftest import BUCKET, s3, s3_server
from tests.pipelines.conftest import STOP, CommandLine

__all__ = ["s3", "s3_server"]
START = "from pipelines import cluster\nwith cluster.locked(): print(cluster.ensure(num_cpus=1))"


@pytest.fixture(scope="module")
def cluster(command_line: CommandLine) -> Iterator[str]:
    """The address of a Ray cluster as commands start it, stopped after: later tests need more CPUs."""
    command = [sys.executable, "-c", START]
    done = subprocess.run(command, env=command_line.env, stdout=subprocess.PIPE, text=True, check=True)
    yield done.stdout.strip()
    subprocess.run([sys.executable, "-c", STOP], env=command_line.env, check=True)


class Open(BaseHTTPRequestHandler):
    """Answers whoever asks."""

    def do_GET(self) -> None:
        """Say yes."""
        self.send_response(200)
        self.end_headers()

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


@pytest.fixture
def unguarded() -> Iterator[str]:
    """The URL of a server that asks nobody for anything."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Open)
    threading.Thread(target=server.serve_forever, args=(0.01,)).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def found(what: str, **asked: Any) -> Finding:
    """The finding of that name."""
    (one,) = [one for one in services.examine(asked.get("ray"), asked.get("stores", ())) if one.what == what]
    return one


@pytest.mark.parametrize("path", ["api/jobs/", "api/version", "nodes?view=summary", "api/cluster_status"])
def test_ray_answers_nobody_without_the_token(cluster: str, path: str) -> None:
    """Each call of the dashboard without a token, or with a wrong one, is refused."""
    for headers in ({}, {"Authorization": "Bearer wrong"}):
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(urllib.request.Request(f"{cluster}/{path}", headers=headers), timeout=30)
        assert caught.value.code in (401, 403)


def test_no_job_is_taken_without_the_token(cluster: str) -> None:
    """What CVE-2023-48022 did, a POST of a command to run, is refused."""
    job = urllib.request.Request(f"{cluster}/api/jobs/", b'{"entrypoint": "id"}', method="POST")
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(job, timeout=30)
    assert caught.value.code in (401, 403)


def test_doctor_tells_a_guarded_cluster_from_others(
    cluster: str, unguarded: str, command_line: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With its token all is well; a wrong token, an open cluster and silence each say what to do."""
    for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH", "RAY_ADDRESS"):
        monkeypatch.setenv(name, "")  # put back afterwards
        monkeypatch.delenv(name)
    monkeypatch.setenv("OMNIVIDEO_HOME", command_line.env["OMNIVIDEO_HOME"])
    assert found("Ray", ray=cluster).status == "ok"
    monkeypatch.setenv("RAY_AUTH_TOKEN", "wrong")
    refused = found("Ray", ray=cluster)
    assert (refused.status, "RAY_AUTH_TOKEN" in refused.meaning) == ("failed", True)
    assert "RAY_AUTH_MODE=token" in found("Ray", ray=unguarded).meaning
    assert "does not answer" in found("Ray", ray="http://127.0.0.1:9").found


def test_doctor_names_an_open_prefect_server(unguarded: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that answers without a password is a failure, with the setting that mends it."""
    monkeypatch.setenv("PREFECT_API_URL", f"{unguarded}/api")
    seen = found("Prefect")
    assert (seen.status, "PREFECT_SERVER_API_AUTH_STRING" in seen.meaning) == ("failed", True)


def test_doctor_tries_the_store(s3: Any, tmp_path: Path) -> None:
    """A store that takes datasets, one that is not there, and a folder; nothing is left in them."""
    assert found("store", stores=[f"s3://{BUCKET}/datasets"]).status == "ok"
    assert found("store", stores=[str(tmp_path / "new")]).status == "ok"
    assert list((tmp_path / "new").iterdir()) == []
    assert "Contents" not in s3.list_objects_v2(Bucket=BUCKET)
    gone = found("store", stores=["s3://nobucket"])
    assert (gone.status, "bucket" in gone.found) == ("failed", True)
