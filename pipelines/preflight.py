"""What is certain to fail is said before Prefect and Ray are started: those take twenty seconds to say it."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def curate(request: dict[str, Any]) -> None:
    """Raise InputError if a filter's model or the sources are missing, or the dataset cannot be written."""
    from curation.config import CurateRequest
    from curation.sources import list_items
    from curation.store.publish import check_output

    asked = CurateRequest.model_validate(request)
    for rule in asked.rules():
        rule.check()
    list_items(asked.sources, asked.out, asked.limit)
    check_output(asked.out)


def encode(request: dict[str, Any]) -> None:
    """Raise InputError if the dataset's version or the run is not there."""
    from curation.dataset import open_dataset
    from omnivideo.errors import InputError
    from training.run import Run

    open_dataset(request["data"], request["version"])
    if request["out"] and not Run(Path(request["out"])).model.is_dir():
        what = f"{request['out']} holds no finished stage"
        raise InputError(what, "reading --run", "train its first stage, or leave --run out")


def train(request: dict[str, Any]) -> None:
    """Raise InputError if the dataset's version is not there or the run's folder cannot be written."""
    from training.data.rendered import open_data
    from training.run import check_output

    open_data(request["data"], request["version"])
    check_output(request["out"])
