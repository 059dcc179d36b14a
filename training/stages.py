"""The paper's three stages as data (sections 3.3, 4.2 and 4.3): what trains, on what, by which loss."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from training.config import EDITING, GENERATION, UNDERSTANDING, StageSection, StagesSection, Task
from training.schedule import falling

Objective = Literal["heads", "align", "flow"]
StageName = Literal["1", "2", "3"]
IN_SEQUENCE: Objective = "flow"
"""Of the phases that run the DiT: workers may share its sequence there; elsewhere each has its own."""


@dataclass(frozen=True)
class Phase:
    """One stretch of training with one set of trainable parts and one objective.

    `objective`: heads = Eq. 1 + Eq. 2, align = adapter to the text encoder's space, flow = Eq. 4.
    `section` names the phase's settings in the recipe's `stages`.
    """

    name: str
    stage: StageName
    section: str
    trainable: tuple[str, ...]
    objective: Objective
    tasks: tuple[Task, ...]

    def settings(self, stages: StagesSection) -> StageSection:
        """Return this phase's settings."""
        section: StageSection = getattr(stages, self.section)
        return section


PHASES: tuple[Phase, ...] = (
    Phase("stage-1", "1", "stage_1", ("vision_head", "text_head"), "heads", UNDERSTANDING + GENERATION),
    Phase("stage-2-align", "2", "stage_2_align", ("adapter",), "align", GENERATION + EDITING),
    Phase("stage-2-flow", "2", "stage_2_flow", ("adapter",), "flow", GENERATION + EDITING),
    Phase("stage-3", "3", "stage_3", ("vision_head", "adapter", "dit"), "flow", GENERATION + EDITING),
)
STAGES: tuple[StageName, ...] = ("1", "2", "3")


def phases_of(stage: StageName) -> tuple[Phase, ...]:
    """Return the phases of one stage, in order."""
    return tuple(phase for phase in PHASES if phase.stage == stage)


def wanted(only: StageName | Literal["backbones"] | None) -> tuple[StageName, ...]:
    """Return the stages of a run, or the one that was asked for; backbones come before all of them."""
    if only == "backbones":
        return ()
    return STAGES if only is None else (only,)


def sub_stages(settings: StageSection, tasks: tuple[Task, ...]) -> tuple[tuple[int, tuple[Task, ...]], ...]:
    """Return (steps, tasks) of the phase's sub-stages: generation alone first, then all (section 4.3).

    One sub-stage if no share is set aside, or if `tasks` are all of one kind.
    """
    first = tuple(task for task in tasks if task not in EDITING)
    steps = round(settings.steps * settings.generation_first_share)
    if not first or first == tasks or not 0 < steps < settings.steps:
        return ((settings.steps, tasks),)
    return ((steps, first), (settings.steps - steps, tasks))


def learning_rate(settings: StageSection, step: int) -> float:
    """Return the rate of optimiser step `step` (from 0): linear warm-up, then a cosine to `final_rate`."""
    if step < settings.warmup_steps:
        return settings.learning_rate * (step + 1) / (settings.warmup_steps + 1)
    done = (step - settings.warmup_steps) / max(1, settings.steps - settings.warmup_steps)
    return settings.learning_rate * falling(done, settings.final_rate)
