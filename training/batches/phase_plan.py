"""What a phase trains on: from a dataset's samples and the recipe to the batch of every step."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from omnivideo.errors import InputError
from training.batches.batch_plan import Batch, BatchPlan, Stream
from training.batches.held_out import chosen, held_out
from training.batches.mixing import mixed
from training.config import (
    EDITING,
    GENERATION,
    TABLE_1,
    UNDERSTANDING,
    ClusterSection,
    StageSection,
    Task,
    TrainRequest,
)
from training.data.samples import Sample, bucket_of, count_tasks, frame_count, with_captions_as_understanding
from training.stages import IN_SEQUENCE, Phase, sub_stages

LEAST_FRAMES = 5
"""Of a video: the autoencoder takes the first frame alone, the others by fours."""
Scored = tuple[Sample, dict[str, float | None]]


class PhasePlan(NamedTuple):
    """The batches of one phase; `parts` are (first step, the sub-stage's plan), `streams` the samples that
    they draw from, `held_out` those that are in none.
    """

    steps: int
    parts: tuple[tuple[int, BatchPlan], ...]
    tasks: dict[Task, int]
    left_out: int
    held_out: dict[Stream, list[Sample]]
    streams: dict[Stream, list[Sample]]

    def batch(self, step: int) -> tuple[int, Batch]:
        """Return the sub-stage (from 0) and the batch of step `step` of the phase."""
        number = max(i for i, (first, _) in enumerate(self.parts) if first <= step)
        first, plan = self.parts[number]
        return number, plan.batch(step - first)


def plan_phase(phase: Phase, request: TrainRequest, scored: Sequence[Scored], version: int) -> PhasePlan:
    """Plan every batch of `phase` over version `version` of the dataset, of which `scored` are the samples.

    A phase takes those of the paper's tasks that the dataset has, by the weights of `mix`; tasks that the
    recipe names for the phase must all be there. Raises InputError, naming tasks and counts, if they are not,
    if nothing is left to train on, or if the batch does not divide among the workers.
    """
    settings = phase.settings(request.stages)
    _check_division(phase, settings, request.cluster)
    _check_lengths(phase, settings, request)
    samples = _best(settings, _good_enough(phase, settings, scored))
    if request.mix.captions_as_understanding:
        samples = with_captions_as_understanding(samples)
    aside = held_out((sample for sample, _ in scored), request.stages.held_out_share)
    trained = mixed([s for s in samples if s.sample_id not in aside], request.mix)
    streams, left_out = _streams(phase, request, trained)
    others, _ = _streams(phase, request, [s for s in samples if s.sample_id in aside])
    counts = count_tasks(sample for members in streams.values() for sample in members)
    _check_buckets(phase, request, samples, counts)
    weights = _weights(phase, settings, request, counts)
    evaluated = {stream: members for stream, members in others.items() if stream[1] in weights}
    parts, first = [], 0
    for number, (steps, tasks) in enumerate(sub_stages(settings, tuple(weights))):
        key = (request.stages.seed, version, phase.name, number)
        shares = {task: weights[task] for task in tasks}
        parts.append((first, BatchPlan(streams, shares, settings.batch_size, key)))
        first += steps
    used = {task: count for task, count in counts.items() if task in weights}
    looked_at = chosen(evaluated, request.stages.held_out_samples)
    drawn = {stream: members for stream, members in streams.items() if stream[1] in weights}
    return PhasePlan(settings.steps, tuple(parts), used, left_out, looked_at, drawn)


def _check_division(phase: Phase, settings: StageSection, cluster: ClusterSection) -> None:
    workers, each = cluster.num_workers, cluster.sequence_parallel
    if workers % each:
        raise InputError(
            f"sequence_parallel {each} does not divide num_workers {workers}",
            phase.name,
            f"set cluster.num_workers to a multiple of {each}, or change cluster.sequence_parallel",
        )
    shares, of = workers, f"{workers} workers"
    if phase.objective == IN_SEQUENCE and each > 1:
        shares, of = workers // each, f"{workers // each} groups of {each} workers"
    share, rest = divmod(settings.batch_size, shares)
    if rest or share % settings.micro_batch_size:
        raise InputError(
            f"batch_size {settings.batch_size} is no multiple of {of} × micro_batch_size "
            f"{settings.micro_batch_size}",
            phase.name,
            f"set stages.{phase.section}.batch_size to a multiple of {shares * settings.micro_batch_size}",
        )


def _check_lengths(phase: Phase, settings: StageSection, request: TrainRequest) -> None:
    shortest = min(request.stages.clip_seconds)
    if frame_count(shortest, settings.fps) < LEAST_FRAMES:
        raise InputError(
            f"{shortest:g} s at {settings.fps:g} fps are under {LEAST_FRAMES} frames, the fewest of a video",
            phase.name,
            f"give stages.clip_seconds of at least {(LEAST_FRAMES - 1) / settings.fps:.3g}, or more fps",
        )


def _best(settings: StageSection, scored: Sequence[Scored]) -> list[Sample]:
    """Keep the best share of each task's samples by one score, ties by id; tasks without it stay whole."""
    if settings.best_share == 1.0:
        return [sample for sample, _ in scored]
    name, sign = settings.best_by.removeprefix("-"), 1 if settings.best_by.startswith("-") else -1
    ranked: dict[Task, list[tuple[float, str]]] = {}
    for sample, scores in scored:
        value = scores.get(name)
        if value is not None:
            ranked.setdefault(sample.task, []).append((sign * value, sample.sample_id))
    best = {
        sample_id
        for rows in ranked.values()
        for _, sample_id in sorted(rows)[: math.ceil(len(rows) * settings.best_share)]
    }
    return [sample for sample, _ in scored if sample.task not in ranked or sample.sample_id in best]


def _good_enough(phase: Phase, settings: StageSection, scored: Sequence[Scored]) -> list[Scored]:
    """Keep samples whose scores reach the phase's least ones; without a score none is reached."""
    kept = [(sample, scores) for sample, scores in scored if _reaches(scores, settings.min_scores)]
    if scored and not kept:
        wanted = ", ".join(f"{name} ≥ {least:g}" for name, least in settings.min_scores.items())
        raise InputError(
            f"none of the dataset's {len(scored)} samples has {wanted}",
            phase.name,
            f"lower or remove stages.{phase.section}.min_scores",
        )
    return kept


def _reaches(scores: dict[str, float | None], least: dict[str, float]) -> bool:
    values = {name: scores.get(name) for name in least}
    return all(value is not None and value >= least[name] for name, value in values.items())


def _streams(
    phase: Phase, request: TrainRequest, samples: Sequence[Sample]
) -> tuple[dict[Stream, list[Sample]], int]:
    """Group samples by bucket and task; also return how many clips are too short for any bucket."""
    fps, left_out = phase.settings(request.stages).fps, 0
    asked = phase.settings(request.stages).tasks or phase.tasks
    streams: dict[Stream, list[Sample]] = {}
    for sample in samples:
        bucket = bucket_of(sample, request.stages, fps)
        if bucket is None:
            left_out += sample.task in asked
        else:
            streams.setdefault((bucket, sample.task), []).append(sample)
    return streams, left_out


def _check_buckets(
    phase: Phase, request: TrainRequest, samples: Sequence[Sample], fitting: dict[Task, int]
) -> None:
    """Raise InputError for a task whose clips are there, and all too short for every length."""
    mix, settings = _mix(request), phase.settings(request.stages)
    there = count_tasks(samples)
    for task in settings.tasks or phase.tasks:
        if there[task] and not fitting[task] and mix.get(task, 0.0) > 0:
            longest = max(sample.seconds for sample in samples if sample.task == task)
            raise InputError(
                f"none of the {there[task]} {task} clips fills the shortest of stages.clip_seconds, "
                f"{min(request.stages.clip_seconds):g} s: the longest has {longest:.3g} s",
                phase.name,
                f"add a shorter length, or give {task} no weight in mix.weights",
            )


def _mix(request: TrainRequest) -> dict[Task, float]:
    return TABLE_1 if request.mix.weights is None else request.mix.weights


def _weights(
    phase: Phase, settings: StageSection, request: TrainRequest, counts: dict[Task, int]
) -> dict[Task, float]:
    mix = _mix(request)
    asked = settings.tasks or phase.tasks
    weights = {task: mix.get(task, 0.0) for task in asked if counts[task]}
    weights = {task: weight for task, weight in weights.items() if weight > 0}
    missing = _missing(phase, settings, weights)
    if missing:
        have = ", ".join(f"{task} {counts[task]}" for task in asked)
        raise InputError(
            f"{phase.name} asks for {' or '.join(missing)}, but of its tasks the dataset has {have} "
            f"(kept, long enough, weight above 0)",
            phase.name,
            f"curate media for {missing[0]}, or change mix.weights or stages.{phase.section}.tasks",
        )
    return weights


def _missing(phase: Phase, settings: StageSection, there: dict[Task, float]) -> list[Task]:
    """Return tasks that the phase cannot do without: those named in the recipe, else one of each purpose."""
    if settings.tasks:
        return [task for task in settings.tasks if task not in there]
    purposes = [UNDERSTANDING, GENERATION] if phase.objective == "heads" else [GENERATION + EDITING]
    return [task for purpose in purposes if not there.keys() & set(purpose) for task in purpose]
