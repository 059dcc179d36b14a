"""Behaviour of the local Ray cluster beside another one on the same machine."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

START = """
from pipelines import cluster
with cluster.locked():
    print(cluster.ensure(num_cpus=1))
"""
ASK = """
import sys, time
from pipelines import cluster
cluster.use_token()
from ray.job_submission import JobSubmissionClient
client = JobSubmissionClient(cluster.current())
tell = "import ray; ray.init(log_to_driver=False); print(ray.get_runtime_context().gcs_address)"
job = client.submit_job(entrypoint=f"{sys.executable} -c '{tell}'")
while not client.get_job_status(job).is_terminal():
    time.sleep(0.2)
print(client.get_job_logs(job))
"""
STOP = "from pipelines import cluster; cluster.stop()"


def _as_user(home: Path, script: str) -> str:
    """The last line that `script` prints as a user whose state is in `home`: a process knows one token."""
    mine = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**mine, "OMNIVIDEO_HOME": str(home)},
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    return (done.stdout.strip().splitlines() or [""])[-1]


def test_two_clusters_on_a_machine_run_their_own_jobs(tmp_path: Path) -> None:
    """With two clusters of different tokens, the jobs of each run on it, and not on the one started last."""
    homes = [tmp_path / "first", tmp_path / "second"]
    try:
        assert len({_as_user(home, START) for home in homes}) == 2
        first, second = (_as_user(home, ASK) for home in homes)
        assert " " not in first + second  # addresses, not the last lines of errors
        assert first != second
    finally:
        for home in homes:
            _as_user(home, STOP)
