"""What is certain to fail is said before any worker starts: of data, buckets, model, checkpoints, shards."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from omnivideo.conditioning import plan_condition
from omnivideo.config import OmniVideoConfig
from omnivideo.errors import InputError
from training.batches.phase_plan import PhasePlan, Scored, plan_phase
from training.checkpoints import checkpoint as checkpoints
from training.config import EDITING, ModelSection, TrainRequest
from training.data.samples import Bucket
from training.model.lora import check_peft
from training.model.origin import check_origin, configuration
from training.run import Run
from training.stages import Phase, phases_of, wanted

if TYPE_CHECKING:
    from training.checkpoints.checkpoint import Checkpoint

VAE_STRIDE, VAE_STRIDE_IN_TIME = 8, 4


def check(run: Run, request: TrainRequest, scored: Sequence[Scored], version: int) -> None:
    """Raise InputError for what a run in its folder cannot do with these samples of a dataset version."""
    if not run.init.exists():
        check_origin(request.model)
    config = configuration(_origin(run, request))
    if request.cluster.sequence_parallel > 1:
        from omnivideo.sequence import check_heads

        check_heads(config.dit.num_attention_heads, request.cluster.sequence_parallel)
    if request.stages.stage_3.lora and "3" in wanted(request.only_stage):
        check_peft()
    for stage in wanted(request.only_stage):
        for phase in phases_of(stage):
            _check_condition(phase, plan_phase(phase, request, scored, version), config)
    _check_checkpoints(run, request)
    if request.mix.encoded is not None:
        _check_encoded(run, request, scored, version)


def _origin(run: Run, request: TrainRequest) -> ModelSection:
    """Return where the run's initial model is: in its folder, once it is there."""
    return ModelSection(path=str(run.init)) if run.init.exists() else request.model


def _check_encoded(run: Run, request: TrainRequest, scored: Sequence[Scored], version: int) -> None:
    """Have encoded shards hold what the run's stages need, made by the parts that it freezes."""
    from training.encoding import coverage
    from training.encoding.identity import of_origin, remembered
    from training.encoding.shards import Shards

    section = request.mix.encoded
    assert section is not None
    identity = remembered(run.init, run.encoders) if run.init.exists() else of_origin(request.model)
    stages = [stage for stage in wanted(request.only_stage) if run.record(stage) is None]
    values = coverage.needed(request, stages, scored, version)
    coverage.check(Shards(section.folder), section, identity, values)


def _check_condition(phase: Phase, plan: PhasePlan, config: OmniVideoConfig) -> None:
    """Have the condition of every bucket planned once: it may not fit the model's budget."""
    if phase.objective == "heads":
        return
    for bucket, task in (*plan.streams, *plan.held_out):
        visual = config.vision_head.num_tokens(bucket.kind)
        grid = _source_grid(bucket, config.adapter.source_patch) if task in EDITING else None
        plan_condition(visual, grid, config.text_encoder.max_tokens, config.condition_budget)


def _source_grid(bucket: Bucket, patch: int) -> tuple[int, int, int]:
    rows, columns = (math.ceil(side / VAE_STRIDE / patch) for side in (bucket.height, bucket.width))
    return (bucket.frames - 1) // VAE_STRIDE_IN_TIME + 1, rows, columns


def _check_checkpoints(run: Run, request: TrainRequest) -> None:
    """Refuse a folder whose checkpoints are of a model with other parameters than the stage's base."""
    for stage in wanted(request.only_stage):
        if run.record(stage) is not None or not run.base(stage).exists():
            continue
        found = checkpoints.latest(run.checkpoints, [phase.name for phase in phases_of(stage)])
        wrong = None if found is None else next(_misfits(found, run.base(stage)), None)
        if found is not None and wrong is not None:
            raise InputError(
                f"the checkpoint {found.folder} is of another model than {run.base(stage)}: {wrong}",
                "resuming",
                "give another --out, or remove that checkpoint's folder",
            )


def _misfits(found: Checkpoint, model: Path) -> Iterator[str]:
    """Yield how parameters of a checkpoint differ in name or size from those of the model's files."""
    sizes: dict[str, dict[str, int]] = {}
    for name, length in (entry for group in found.manifest.layout for entry in group):
        part, _, parameter = name.removeprefix("parts.").partition(".")
        if ".lora_" in parameter:  # beside the base's weights, not of them
            continue
        if part not in sizes:
            sizes[part] = _sizes(model / part)
        have = sizes[part].get(parameter)
        if have != length:
            yield f"{part}.{parameter} has {length:,} numbers there, {have or 0:,} here"


def _sizes(folder: Path) -> dict[str, int]:
    """Return the number of elements of each tensor of a part, from its files' headers."""
    sizes: dict[str, int] = {}
    for path in folder.glob("*.safetensors"):
        with path.open("rb") as file:
            header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
        sizes |= {name: math.prod(entry["shape"]) for name, entry in header.items() if name != "__metadata__"}
    return sizes
