"""One stage: its phases over one model, proof that the rest stayed frozen, and the model it leaves."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from omnivideo.lora import Lora, merge
from training.batches.phase_plan import Scored, plan_phase
from training.checkpoints import checkpoint as checkpoints
from training.checkpoints import export
from training.checkpoints.checkpoint import Checkpoint
from training.errors import TrainingError
from training.lineage import of_model
from training.loop.context import Context
from training.loop.phase import PhaseLoop
from training.model.frozen import check_unchanged, digests
from training.model.lora import take_out
from training.model.parameters import count_parameters
from training.model.parameters import trained as trained_of
from training.model.precision import halve_language_model
from training.run import entries, first_and_last, rewind
from training.stages import Phase, StageName, phases_of
from training.summary.page import write_page

if TYPE_CHECKING:
    from omnivideo.model import OmniVideoModel


def train_stage(context: Context, stage: StageName, samples: Sequence[Scored]) -> None:
    """Train `stage` from the model before it, from the stage's newest checkpoint if there is one.

    Raises TrainingError if a part that the stage freezes is not bit-identical at its end.
    """
    from omnivideo.model import OmniVideoModel

    started, base = time.time(), context.run.base(stage)
    model = OmniVideoModel.from_pretrained(base)
    _place(model, context)
    trained = sorted({name for phase in phases_of(stage) for name in phase.trainable})
    before = digests(model.parts())
    found = _resume(context, stage)
    if context.encoded is not None:
        context = replace(context, encoded=context.encoded.with_head(base))
    for phase in _remaining(phases_of(stage), found):
        plan = plan_phase(phase, context.request, samples, context.dataset.version)
        here = found if found and found.manifest.phase == phase.name else None
        PhaseLoop(context, phase, plan, model).run(here)
    counts, adapted = count_parameters(model.parts()), take_out(model.dit)
    changed = set(trained) - ({"dit"} if adapted else set())
    after = digests(model.parts())
    check_unchanged(before, after, f"stage {stage}", set(before) - changed)
    if context.team.rank == 0:
        phases = _summaries(context, stage, counts)
        _export(context, stage, model, changed, phases, adapted)
        export.copy(context.run.stage_model(stage), context.run.model)
        proof = {"trained": trained, "before": before, "after": after}
        record = {"stage": stage, "seconds": time.time() - started, **proof}
        context.run.finish(stage, {**record, "phases": phases})
        write_page(context.run)


def _export(
    context: Context,
    stage: StageName,
    model: OmniVideoModel,
    changed: set[str],
    phases: Sequence[Mapping[str, Any]],
    adapted: Lora | None,
) -> None:
    """Write the stage's model, with what adapted its transformer merged or apart."""
    section = context.request.stages.stage_3.lora
    if adapted and section and section.export == "merged":
        merge(model.dit, adapted)
        changed, adapted = changed | {"dit"}, None
    lineage, folder = of_model(context.run, stage, phases), context.run.stage_model(stage)
    export.export(context.run.base(stage), model, sorted(changed), folder, lineage, adapted)


def _place(model: OmniVideoModel, context: Context) -> None:
    """Put the model on the worker's device, but for encoders whose word is already in shards."""
    halve_language_model(model, context.team.device)
    told = context.encoded is not None and not context.request.stages.clips.prompts
    for name, part in model.parts().items():
        part.to("cpu" if told and name in {"vae", "text_encoder"} else context.team.device)


def _resume(context: Context, stage: StageName) -> Checkpoint | None:
    """Find the stage's newest checkpoint and take log and curves back to it."""
    names = [phase.name for phase in phases_of(stage)]
    found = checkpoints.latest(context.run.checkpoints, names, print, context.team)
    position = (found.manifest.phase, found.manifest.step) if found else (names[0], -1)
    if len(set(context.team.gather(position))) > 1:
        raise TrainingError(f"workers see different files in {context.run.root}: it must be shared storage")
    if context.team.rank == 0:
        rewind(context.run.metrics, *position)
        context.curves.begin(entries(context.run.metrics))
    return found


def _remaining(phases: Sequence[Phase], found: Checkpoint | None) -> list[Phase]:
    names = [phase.name for phase in phases]
    return list(phases[names.index(found.manifest.phase) if found else 0 :])


def _summaries(context: Context, stage: StageName, counts: Mapping[str, int]) -> list[dict[str, Any]]:
    log, summaries = entries(context.run.metrics), []
    for phase in phases_of(stage):
        first, last = first_and_last(log, phase.name)
        trains = trained_of(phase, counts)
        summaries.append(
            {
                "name": phase.name,
                "steps": phase.settings(context.request.stages).steps,
                "trainable": sum(n for name, n in counts.items() if name in trains),
                "frozen": sum(n for name, n in counts.items() if name not in trains),
                "first_loss": first,
                "last_loss": last,
            }
        )
    return summaries
