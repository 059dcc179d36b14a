"""Disks that are full, stores that stall, and processes that are killed, amid a curation: nothing is lost."""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from curation import engine
from tests.curation.sources.conftest import BUCKET, s3, s3_server
from tests.curation.whole_run import request
from tests.drills import checks
from tests.drills.stall import stalling

__all__ = ["s3", "s3_server"]
RUN = """
import os, resource, signal, sys
from pathlib import Path
import s3fs
from curation import engine
from curation.config import CurateRequest
from curation.run import curate
from curation.store import lease

engine.each = lambda make, inputs, pool=None: map(make(), inputs)
s3fs.S3FileSystem.retries = 1
lease.STALE_SECONDS = 3.0
if "FILE_BYTES" in os.environ:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, 2 * (int(os.environ["FILE_BYTES"]),))
curate(CurateRequest.model_validate_json(Path(sys.argv[1]).read_text()), lambda event: None)
"""


@pytest.fixture
def small(tmp_path: Path, images: Path, videos: Path) -> Path:
    """Five files: a clip, pictures, a copy and one that is no media."""
    folder = tmp_path / "small"
    folder.mkdir()
    shutil.copy(videos / "carphone_pristine.mp4", folder)
    for name in ("coins.png", "rocket.jpg"):
        shutil.copy(images / name, folder)
    shutil.copy(images / "coins.png", folder / "again.png")
    (folder / "notes.txt").write_text("no media")
    return folder


@pytest.fixture
def expected(small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> checks.Rows:
    """The rows of a run that nothing happened to."""
    from curation.run import curate

    with monkeypatch.context() as patch:
        patch.setattr(engine, "each", lambda make, inputs, pool=None: map(make(), inputs))
        curate(request(small, tmp_path / "untouched"), lambda event: None)
    return dict(checks.rows(str(tmp_path / "untouched")))


def start(tmp_path: Path, small: Path, out: str, **env: str) -> subprocess.Popen[bytes]:
    """The run as a process of its own."""
    asked = request(small, Path(out)).model_copy(update={"out": out})
    (tmp_path / "request.json").write_text(asked.model_dump_json())
    command = [sys.executable, "-c", RUN, str(tmp_path / "request.json")]
    return subprocess.Popen(command, env={**os.environ, **env}, stderr=subprocess.PIPE)


@contextlib.contextmanager
def full_disk(folder: Path) -> Iterator[dict[str, str]]:
    """A disk that is too small at `folder`, or where none may be mounted a limit on the size of files."""
    folder.mkdir()
    mounted = (
        shutil.which("mount")
        and not subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=160k", "tmpfs", str(folder)], stderr=subprocess.DEVNULL
        ).returncode
    )
    try:
        yield {} if mounted else {"FILE_BYTES": "40000"}
        if mounted:
            subprocess.run(["mount", "-o", "remount,size=64m", str(folder)], check=True)
    finally:
        if mounted:
            kept = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
            subprocess.run(["umount", str(folder)], check=True)
            for path, data in kept.items():
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)


def test_a_full_disk_loses_nothing(small: Path, expected: checks.Rows, tmp_path: Path) -> None:
    """The run ends with an error and publishes nothing; with room again it ends as if never stopped."""
    out = tmp_path / "disk"
    with full_disk(out) as limited:
        first = start(tmp_path, small, str(out), **limited)
        _, said = first.communicate()
        assert first.returncode != 0
        assert b"No space left" in said or b"File too large" in said
        assert not list(out.glob("_delta_log/*.json"))
    assert start(tmp_path, small, str(out)).wait() == 0
    assert checks.compare(checks.rows(str(out)), expected) == {"rows": 5, "lost": 0, "doubled": 0, "other": 0}
    assert checks.orphans(str(out)) == 0


def test_kills_at_random_points_lose_nothing(small: Path, expected: checks.Rows, tmp_path: Path) -> None:
    """Killed four times, each time later, then left alone: each row once, and no stray files."""
    out = str(tmp_path / "killed")
    for moment in sorted(random.Random(0).uniform(0.5, 4.0) for _ in range(4)):
        run = start(tmp_path, small, out)
        with contextlib.suppress(subprocess.TimeoutExpired):
            run.wait(moment)
        run.send_signal(signal.SIGKILL)
        run.communicate()
    assert start(tmp_path, small, out).wait() == 0
    assert checks.compare(checks.rows(out), expected) == {"rows": 5, "lost": 0, "doubled": 0, "other": 0}
    assert checks.orphans(out) == 0


def test_a_store_that_stalls_loses_nothing(
    small: Path, expected: checks.Rows, tmp_path: Path, s3: Any, s3_server: str
) -> None:
    """The run ends with an error; once the store answers, the next one ends as if never stopped."""
    out = f"s3://{BUCKET}/dataset"
    patience = {"read_timeout": 2, "connect_timeout": 2, "retries": {"max_attempts": 1}}
    env = {"FSSPEC_S3": json.dumps({"config_kwargs": patience})}
    with stalling(int(s3_server.rpartition(":")[2]), b"/judged/") as proxy:
        env["AWS_ENDPOINT_URL"] = proxy.url
        first = start(tmp_path, small, out, **env)
        first.communicate()
        assert proxy.stalled.is_set()
        assert first.returncode != 0
        assert "_delta_log" not in json.dumps(
            [one["Key"] for one in s3.list_objects_v2(Bucket=BUCKET)["Contents"]]
        )
        proxy.stalled.clear()
        assert start(tmp_path, small, out, **env).wait() == 0
    assert checks.compare(checks.rows(out), expected) == {"rows": 5, "lost": 0, "doubled": 0, "other": 0}
