"""The run as one worker lives it: stage after stage, each from the model that the one before it left."""

from __future__ import annotations

import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from curation.dataset import open_dataset
from omnivideo.config import OmniVideoConfig, preset
from omnivideo.model import OmniVideoModel
from training import checkpoint as checkpoints
from training import export, run
from training.checkpoint import Checkpoint
from training.config import TrainRequest
from training.errors import InputError, TrainingError
from training.frozen import check_unchanged, digests
from training.parts_table import count, render
from training.phase import PhaseLoop, Work
from training.run import Run
from training.samples import read_samples
from training.schedule import Scored, plan_phase
from training.stages import STAGES, StageName, phases_of
from training.team import Team

LOCK_SECONDS = 60.0


def train(request: TrainRequest, team: Team) -> None:
    """Bring the run in `request.out` to its end, from wherever it stands. Every worker calls this.

    `request.version` must be set. Raises InputError for what the recipe or dataset gets wrong, TrainingError
    if a promise of the run breaks.
    """
    folder = Run(_path(request))
    assert request.version is not None
    work = Work(request, folder, team, open_dataset(request.data, request.version))
    with _alone(folder, team):
        if team.rank == 0 and not folder.init.exists():
            export.save_new(_new_model(request), folder.init)
        team.wait()
        scored: list[Scored] = read_samples(work.dataset)
        for stage in wanted(request):
            if folder.record(stage) is None:
                _train_stage(work, stage, scored)
        team.wait()


def wanted(request: TrainRequest) -> tuple[StageName, ...]:
    """Return the stages that the request asks for."""
    return STAGES if request.only_stage is None else (request.only_stage,)


def _path(request: TrainRequest) -> Any:
    from pathlib import Path

    return Path(request.out).resolve()


def _new_model(request: TrainRequest) -> OmniVideoModel:
    section = request.model
    if section.path:
        return OmniVideoModel.from_pretrained(section.path)
    return OmniVideoModel.build(configuration(section.preset or "tiny", section.overrides), section.seed)


def configuration(name: str, overrides: dict[str, Any]) -> OmniVideoConfig:
    """Return a preset with some keys, by dotted path, replaced. Raises InputError for an unknown key."""
    document = preset(name).model_dump()
    for path, value in overrides.items():
        *parents, last = path.split(".")
        section: Any = document
        for parent in parents:
            section = section.get(parent) if isinstance(section, dict) else None
        if not isinstance(section, dict) or last not in section:
            raise InputError(f"preset {name} has no key {path}", "model", "correct model.overrides")
        section[last] = value
    try:
        return OmniVideoConfig.model_validate(document)
    except ValueError as error:
        raise InputError(f"model.overrides do not fit: {error}", "model", "correct model.overrides") from None


def _train_stage(work: Work, stage: StageName, scored: list[Scored]) -> None:
    folder, team = work.run, work.team
    model = OmniVideoModel.from_pretrained(folder.base(stage)).to(team.device)
    phases = phases_of(stage)
    trained = {name for phase in phases for name in phase.trainable}
    frozen = [name for name in model.parts() if name not in trained]
    before = digests(model.parts(), model.parts())
    found = _resume(work, stage)
    started = time.time()
    for phase in phases:
        if found and phases.index(phase) < [p.name for p in phases].index(found.manifest.phase):
            continue
        if team.rank == 0:
            rest = [name for name in model.parts() if name not in phase.trainable]
            print(
                render(phase.name, count(model.parts(), phase.trainable), count(model.parts(), rest)),
                flush=True,
            )
        plan = plan_phase(phase, work.request, scored, work.dataset.version)
        here = found if found and found.manifest.phase == phase.name else None
        PhaseLoop(work, phase, plan, model).run(here)
    after = digests(model.parts(), model.parts())
    check_unchanged({name: before[name] for name in frozen}, after, f"stage {stage}")
    if team.rank == 0:
        export.export(folder.base(stage), model, sorted(trained), folder.stage_model(stage))
        export.copy(folder.stage_model(stage), folder.model)
        folder.finish(stage, _record(work, stage, model, before, after, time.time() - started))
    team.wait()


def _resume(work: Work, stage: StageName) -> Checkpoint | None:
    """Find the stage's newest checkpoint and take the log back to it."""
    names = [phase.name for phase in phases_of(stage)]
    found = checkpoints.latest(work.run.checkpoints, names, warn=print)
    if work.team.rank == 0:
        here = (found.manifest.phase, found.manifest.step) if found else (names[0], -1)
        run.rewind(work.run.metrics, *here)
    steps = work.team.gather(found.manifest.step if found else -1)
    if len(set(steps)) > 1:
        raise TrainingError(
            f"workers see different checkpoints in {work.run.checkpoints}: is it shared storage?"
        )
    return found


def _record(
    work: Work,
    stage: StageName,
    model: OmniVideoModel,
    before: dict[str, str],
    after: dict[str, str],
    seconds: float,
) -> dict[str, Any]:
    log = run.entries(work.run.metrics)
    phases = []
    for phase in phases_of(stage):
        first, last = run.first_and_last(log, phase.name)
        rest = [name for name in model.parts() if name not in phase.trainable]
        phases.append(
            {
                "name": phase.name,
                "steps": phase.settings(work.request.stages).steps,
                "trainable": count(model.parts(), phase.trainable),
                "frozen": count(model.parts(), rest),
                "first_loss": first,
                "last_loss": last,
            }
        )
    return {"stage": stage, "phases": phases, "seconds": seconds, "before": before, "after": after}


@contextmanager
def _alone(folder: Run, team: Team) -> Iterator[None]:
    """Hold the run's folder; wait a little for a killed attempt's workers to let go of it."""
    if team.rank:
        yield
        return
    folder.root.mkdir(parents=True, exist_ok=True)
    with (folder.root / ".lock").open("w") as handle:
        deadline = time.monotonic() + LOCK_SECONDS
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise InputError(
                        f"another command trains into {folder.root}", "train", "wait for it"
                    ) from None
                time.sleep(0.5)
        yield
