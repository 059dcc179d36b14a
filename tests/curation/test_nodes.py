"""A Ray cluster of several nodes on one host, one of them killed amid a run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from curation import engine
from curation.dataset import open_dataset
from curation.run import curate

from .whole_run import active_files, data_files, request, rows_of, silent

RUN = """
import json, sys, threading, time
from pathlib import Path
import ray
from ray.cluster_utils import Cluster
from curation.config import CurateRequest
from curation.run import curate

asked = CurateRequest.model_validate_json(Path(sys.argv[1]).read_text())
small = {"num_cpus": 1, "object_store_memory": 80_000_000}
cluster = Cluster(initialize_head=True, head_node_args={**small, "include_dashboard": False})
other = cluster.add_node(**small)
ray.init(address=cluster.address, log_to_driver=False)
judged = Path(asked.out, "_staging", asked.recipe_sha256()[:16], "judged")

def kill():
    while len(list(judged.glob("*.parquet"))) < 4:
        time.sleep(0.02)
    cluster.remove_node(other, allow_graceful=False)  # SIGKILL to all of its processes
    killed.set()

killed = threading.Event()
killer = threading.Thread(target=kill)
killer.start()
result = curate(asked, lambda event: None)
amid = killed.is_set()
killer.join()
Path(sys.argv[2]).write_text(json.dumps({"funnel": result["funnel"], "amid": amid}))
ray.shutdown()
cluster.shutdown()
"""


def test_a_node_killed_amid_a_run_loses_and_doubles_nothing(
    media: Path, tmp_path: Path, images: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of two nodes one is gone after the first files; the rows are those of a run in one process."""
    for number in range(12):
        (media / f"copy{number}.png").write_bytes((images / "coins.png").read_bytes() + bytes(number + 1))
    out = tmp_path / "dataset"
    (tmp_path / "request.json").write_text(request(media, out).model_dump_json())
    here = {"PYTHONPATH": str(Path(engine.__file__).parent.parent), "RAY_ADDRESS": ""}
    answer = tmp_path / "answer.json"
    command = [sys.executable, "-c", RUN, str(tmp_path / "request.json"), str(answer)]
    # Neither its exit code nor its output: Ray writes there that one of the nodes that it started has died.
    subprocess.run(command, env={**os.environ, **here}, check=False)
    said = json.loads(answer.read_text())
    assert (said["amid"], said["funnel"]["inputs"]) == (True, 20)
    assert data_files(out) == active_files(out)
    monkeypatch.setattr(engine, "each", lambda make, inputs, pool=None: map(make(), inputs))
    curate(request(media, tmp_path / "whole"), silent)
    assert rows_of(open_dataset(str(out))) == rows_of(open_dataset(str(tmp_path / "whole")))
