"""The Ray Job: `python -m training.job REQUEST`, a JSON file or the JSON itself. Speaks in events."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from omnivideo.errors import InputError
from training.config import TrainRequest
from training.events import emit, speak_for
from training.run import Run, check_output
from training.stages import STAGES, wanted


def main(arguments: list[str]) -> int:
    """Run a request; return the exit code: 0 done, 1 failed or stopped, 2 bad input."""
    return answer(arguments, run)


def answer(arguments: list[str], work: Callable[[TrainRequest], dict[str, Any]]) -> int:
    """Emit the result of `work`, or what went wrong; return the exit code."""
    from training.launch import describe

    try:
        request = _read(arguments)
        speak_for(request.run_id)
        emit("result", **work(request))
    except Exception as error:  # noqa: BLE001  # the job's outermost frame: every failure becomes one event
        said = describe(error) or _failure(error)
        emit("error", **said)
        return 2 if said["kind"] == "input" else 1
    return 0


def run(request: TrainRequest) -> dict[str, Any]:
    """Train until the request's stages are done and return the run's summary; at once if they are.

    Raises InputError, before any worker starts, for what dataset, recipe and run folder show to be wrong.
    """
    check_output(request.out)
    folder = Run(Path(request.out).resolve())
    if request.only_stage in {None, "backbones"}:
        _train_backbones(folder, request)
    if request.only_stage == "backbones":
        return folder.summary()
    request = _pinned(folder, request)
    if any(folder.record(stage) is None for stage in wanted(request.only_stage)):
        _train(folder, request)
    return folder.summary()


def _train_backbones(folder: Run, request: TrainRequest) -> None:
    """Train the run's backbones, unless its initial model is there already."""
    if request.backbones is None and request.only_stage == "backbones":
        raise InputError("the recipe has no backbones", "backbones", "add a section `backbones`")
    if request.backbones is not None and not folder.init.exists():
        _train(folder, request.model_copy(update={"only_stage": "backbones"}))


def _pinned(folder: Run, request: TrainRequest) -> TrainRequest:
    """Return the request with its dataset version set, its lineage written, and its plans known to work."""
    from training import lineage
    from training.data.rendered import open_data
    from training.data.samples import read_samples
    from training.readiness import check

    _check_order(folder, request)
    version = lineage.pinned_version(folder, request)
    dataset = open_data(request.data, request.version if version is None else version)
    samples = read_samples(dataset)
    check(folder, request, samples, dataset.version)
    if version is None:
        folder.root.mkdir(parents=True, exist_ok=True)
        lineage.write(folder, request, dataset.version, dataset.metadata)
    return request.model_copy(update={"version": dataset.version})


def _check_order(folder: Run, request: TrainRequest) -> None:
    done = [stage for stage in STAGES if folder.record(stage)]
    for stage in wanted(request.only_stage):
        before = STAGES[: STAGES.index(stage)]
        missing = [name for name in before if name not in done and name not in wanted(request.only_stage)]
        if missing and request.model.path is None:
            raise InputError(
                f"stage {stage} starts from stage {missing[-1]}'s model, which {folder.root} does not have",
                f"stage-{stage}",
                f"train --stage {missing[0]} first, or give model.path",
            )
        if stage not in done and any(later in done for later in STAGES[STAGES.index(stage) + 1 :]):
            raise InputError(
                f"{folder.root} has a later stage than {stage} already",
                f"stage-{stage}",
                "give another --out, or --stage with a stage after it",
            )


def _train(folder: Run, request: TrainRequest) -> None:
    from training.encoding.engine import connect
    from training.launch import launch
    from training.monitoring.follow import following
    from training.stop import stopping_on_sigterm
    from training.summary.page import write_page

    connect()
    folder.failure.unlink(missing_ok=True)
    log = folder.backbones / "metrics.jsonl" if request.only_stage == "backbones" else folder.metrics
    with stopping_on_sigterm(folder), following(log):
        try:
            launch(request, folder)
        finally:
            shutil.rmtree(folder.root / ".ray", ignore_errors=True)
            write_page(folder)  # however it ended
            _raise_if_said(folder)


def _raise_if_said(folder: Run) -> None:
    """Raise what a worker wrote down, in place of Ray's account of it."""
    import json

    from training.errors import TrainingError
    from training.stop import Stopped

    if folder.failure.exists():
        said = json.loads(folder.failure.read_text())
        if said["kind"] == "input":
            raise InputError(said["what"], said["step"], said["next"])
        if said["kind"] == "stopped":
            raise Stopped(said["step"], said["what"])
        raise TrainingError(said["what"])


def _failure(error: Exception) -> dict[str, str]:
    lines = str(error).strip().splitlines() or [""]
    return {
        "kind": "failure",
        "what": f"{type(error).__name__}: {lines[-1]}",
        "step": "train",
        "next": "run the same command again: it goes on from the last checkpoint",
    }


def _read(arguments: list[str]) -> TrainRequest:
    if len(arguments) != 1:
        raise InputError("expected one argument", "train", "python -m training.job REQUEST.json")
    text = arguments[0] if arguments[0].lstrip().startswith("{") else Path(arguments[0]).read_text()
    try:
        return TrainRequest.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise InputError(f"{where}: {first['msg']}", "train", "correct the recipe") from None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
