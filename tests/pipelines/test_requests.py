"""What scheduled runs of the same work share: a folder, by which a later one finds an earlier one."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from pipelines import jobs, requests
from pipelines.recipe import load


def asked(run_id: str, version: int, overrides: tuple[str, ...] = (), root: str = "/runs") -> dict[str, Any]:
    """The request of a scheduled training."""
    request = requests.train(load("tiny", list(overrides)), "/data", root, run_id)
    return requests.in_folder_of_its_own(request, root, version)


@given(st.text(), st.text(), st.integers(0, 99))
def test_the_same_work_is_the_same_job_whoever_asks(first: str, second: str, version: int) -> None:
    """Two runs of one deployment on one version share folder and key: the later attaches to the earlier."""
    one, other = asked(first, version), asked(second, version)
    assert one["out"] == other["out"]
    assert jobs.Job("training.job", one).key() == jobs.Job("training.job", other).key()


def test_other_work_has_another_folder() -> None:
    """Another version or recipe is trained beside the first; where it runs does not count."""
    here = asked("a", 0)["out"]
    assert asked("a", 1)["out"] != here
    assert asked("a", 0, ("stages.stage_1.steps=7",))["out"] != here
    assert asked("a", 0, ("cluster.num_workers=1",))["out"] == here
