from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.training.conftest import tiny_request
from training.checkpoints import checkpoint
from training.events import PREFIX
from training.run import Run, entries

JOB = """
import sys, ray
from training.job import main
ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="error")
sys.exit(main(sys.argv[1:]))
"""


def test_sigterm_saves_a_checkpoint_and_says_so(dataset: str, tmp_path: Path) -> None:
    """The job's process is sent SIGTERM: its worker on Ray ends its step, saves, and is not started again."""
    request = tiny_request(dataset, tmp_path / "run", 2000, cluster={"num_workers": 1}, only_stage="1")
    stages = request.stages.model_copy(update={"checkpoint_every": 1900})
    request = request.model_copy(update={"stages": stages})
    run = Run(tmp_path / "run")
    command = [sys.executable, "-c", JOB, request.model_dump_json()]
    environment = {**os.environ, "RAY_ADDRESS": "local"}
    job = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment)
    try:
        deadline = time.monotonic() + 240
        while not any(entry["step"] >= 2 for entry in entries(run.metrics)):
            assert job.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.1)
        job.send_signal(signal.SIGTERM)
        out, _ = job.communicate(timeout=40)
    finally:
        job.kill()
    events = [json.loads(line[len(PREFIX) :]) for line in out.decode().splitlines() if PREFIX in line]
    last = [entry for entry in entries(run.metrics) if entry["kind"] == "step"][-1]["step"]
    assert job.returncode == 1
    assert events[-1]["kind"] == "stopped"
    assert f"after step {last} of 2000" in events[-1]["what"]
    found = checkpoint.latest(run.checkpoints, ["stage-1"])
    assert found is not None
    assert found.manifest.step == last
    assert not run.stop.exists()
