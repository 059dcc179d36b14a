"""What the user is told of a job that ended without a word."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curation.errors import InputError
from pipelines import cluster, jobs
from pipelines.endings import GONE, Ending, tell
from tests.pipelines.conftest import CommandLine

LOG = Path("/logs/run.log")
FOLLOW = """
import sys
from pathlib import Path
from pipelines import jobs
try:
    jobs.run(jobs.Job("tests.pipelines.dying", {}), lambda event: None, Path(sys.argv[1]))
except jobs.JobFailed as error:
    print(error)
finally:
    jobs.release(None)
"""


def test_a_killed_driver_is_one_clear_line(command_line: CommandLine) -> None:
    """After SIGKILL to a job's driver the user reads so, with the step, what to do, and where the log is."""
    job = [sys.executable, "-c", FOLLOW, str(command_line.folder / "dying.log")]
    done = subprocess.run(job, env=command_line.env, capture_output=True, text=True, check=True)
    (line,) = done.stdout.strip().splitlines()
    assert "killed by signal 9 (SIGKILL), most likely because memory ran out (while filters)" in line
    assert "Run the same command again" in line
    assert line.endswith("dying.log")


def test_a_cluster_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A recipe's cluster that does not answer is the user's to start or correct."""
    monkeypatch.setenv("OMNIVIDEO_HOME", str(tmp_path))
    monkeypatch.setattr(cluster, "use_token", lambda: None)  # for good: this process runs other tests, too
    with pytest.raises(InputError) as caught:
        jobs.run(jobs.Job("curation.job", {}, "http://127.0.0.1:9"), print, tmp_path / "log")
    assert "http://127.0.0.1:9" in caught.value.what
    assert "cluster.address" in caught.value.next_step


@pytest.mark.parametrize(
    ("ending", "what"),
    [
        (Ending("FAILED", -9), "killed by signal 9 (SIGKILL), most likely because memory ran out"),
        (Ending("FAILED", 137), "killed by signal 9 (SIGKILL), most likely because memory ran out"),
        (Ending("FAILED", 139), "killed by signal 11 (SIGSEGV) (while"),
        (Ending("FAILED", 3), "exit code 3"),
        (Ending("FAILED", message="The node is low on memory\nmore"), "because memory ran out: The node"),
        (Ending("FAILED", message="Job supervisor actor died: x"), "Ray lost the job: Job supervisor"),
        (Ending("STOPPED"), "was stopped"),
        (Ending(GONE, message="Failed to connect"), "does not answer any more"),
    ],
)
def test_each_ending_has_its_words(ending: Ending, what: str) -> None:
    """Signals, exit codes, lost nodes, stopped jobs and lost clusters are told apart."""
    assert what in tell("curation.job", ending, {}, "filters", LOG)


def test_what_a_job_said_counts_most() -> None:
    """A failure that the job told itself is quoted with its own advice, whatever the exit code."""
    said = {"event": "error", "what": "disk full", "step": "shards", "next": "make room"}
    line = tell("curation.job", Ending("FAILED", 1), said, "dedup", LOG)
    assert line == f"disk full (while shards). Make room; the whole log: {LOG}"


@given(
    st.builds(
        Ending, st.sampled_from(["FAILED", "STOPPED", GONE]), st.none() | st.integers(-70, 300), st.text()
    ),
    st.sampled_from(["curation.job", "training.job", "another.job"]),
)
def test_every_ending_is_one_line_that_ends_with_the_log(ending: Ending, module: str) -> None:
    """Whatever Ray says, the line is one, has the step and what to do, and the log's path last."""
    line = tell(module, ending, {}, "filters", LOG)
    assert len(line.splitlines()) == 1
    assert "(while filters). Run the same command again" in line
    assert line.endswith(f"the whole log: {LOG}")
