"""A model judged: what it makes of every prompt, edit and question, one record each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from omnivideo.evaluation import prompts
from omnivideo.evaluation.protocol import TAGS
from omnivideo.evaluation.shapes_judge import exact, judge_edit, judge_frames
from omnivideo.shapes.render import Pixels, render

if TYPE_CHECKING:
    import torch

    from omnivideo.evaluation.geneval import GenEval
    from omnivideo.pipeline import OmniVideoPipeline

Part = Literal["image", "video", "image_edit", "video_edit", "image_questions", "video_questions", "think"]
PARTS: tuple[Part, ...] = get_args(Part)
ANSWER_TOKENS = 24


@dataclass(frozen=True)
class Plan:
    """What is asked, and how. `limit` bounds the prompts of a category, for a quick look."""

    size: int
    num_frames: int
    parts: tuple[Part, ...] = PARTS
    limit: int | None = None
    image_samples: int = 4
    video_samples: int = 1
    steps: int | None = None
    guidance_scale: float | None = None
    batch: int = 16
    seed: int = 0


@dataclass(frozen=True)
class Record:
    """One judged attempt. `group` is a category, an edit's operation or a kind of question."""

    part: str
    group: str
    prompt: str
    correct: bool
    reason: str = ""
    held_out: bool = False
    outside_psnr: float | None = None
    frames: Pixels | None = None  # what came out; of a question what was shown
    source: Pixels | None = None  # of an edit


Records = Iterator[Record]


def evaluate(pipeline: OmniVideoPipeline, plan: Plan) -> Records:
    """Judge a model, part after part. A sample's noise depends on the seed and its place alone."""
    for part in plan.parts:
        yield from _RUNNERS[part](pipeline, plan)


def _images(pipeline: OmniVideoPipeline, plan: Plan) -> Records:
    asked = [claims for tag in TAGS for claims in _few(prompts.of_category(tag), plan)]
    yield from _generated(pipeline, plan, "image", asked, plan.image_samples, 1)


def _videos(pipeline: OmniVideoPipeline, plan: Plan) -> Records:
    asked = [claims for tag in (*TAGS, "motion") for claims in _few(prompts.of_category(tag), plan)]
    yield from _generated(pipeline, plan, "video", asked, plan.video_samples, plan.num_frames)


def _think(pipeline: OmniVideoPipeline, plan: Plan) -> Records:
    """Indirect prompts with think mode and without, and the same said plainly, on the same noise."""
    pairs = _few(prompts.thinking(), plan)
    indirect, plainly = [
        [pair[i] | {"tag": tag} for pair in pairs] for i, tag in ((0, "indirect"), (1, "direct"))
    ]
    yield from _generated(pipeline, plan, "think", plainly, 1, 1)
    yield from _generated(pipeline, plan, "think", indirect, 1, 1)
    thinking = [claims | {"tag": "indirect, think mode"} for claims in indirect]
    yield from _generated(pipeline, plan, "think", thinking, 1, 1, think=True)


def _generated(
    pipeline: OmniVideoPipeline,
    plan: Plan,
    part: str,
    asked: Sequence[prompts.Claims],
    samples: int,
    num_frames: int,
    think: bool = False,
) -> Records:
    jobs = [(claims, number) for number, claims in enumerate(list(asked) * samples)]
    for some in _batches(jobs, plan.batch):
        result = pipeline(
            [claims["prompt"] for claims, _ in some],
            think=think,
            num_frames=num_frames,
            generator=[noise(plan.seed, number) for _, number in some],
            **_sampling(plan),
        )
        for (claims, _), frames, rendered in zip(some, result.frames, result.prompts, strict=True):
            verdict = judge_frames(claims, frames)
            told = f"{claims['prompt']} → {rendered}" if think else claims["prompt"]
            yield Record(part, claims["tag"], told, *verdict, claims["held_out"], None, frames)


def judge_geneval(
    pipeline: OmniVideoPipeline, plan: Plan, claims: Sequence[prompts.Claims], judge: GenEval
) -> Records:
    """GenEval's own prompts, judged by its own models."""
    jobs = [(one, number) for number, one in enumerate(list(claims)[: plan.limit] * plan.image_samples)]
    for some in _batches(jobs, plan.batch):
        told = [one["prompt"] for one, _ in some]
        noises = [noise(plan.seed, number) for _, number in some]
        made = pipeline(told, num_frames=1, generator=noises, **_sampling(plan))
        for (one, _), frames in zip(some, made.frames, strict=True):
            yield Record("geneval", one["tag"], one["prompt"], *judge.judge(one, frames[0]), frames=frames)


def _edits(moving: bool) -> Callable[[OmniVideoPipeline, Plan], Records]:
    def run(pipeline: OmniVideoPipeline, plan: Plan) -> Records:
        part = "video_edit" if moving else "image_edit"
        for number, edit in enumerate(_few(prompts.edits(moving), plan, "operation")):
            source = render(edit.source, plan.size, plan.num_frames if moving else 1)
            sampling = {"generator": noise(plan.seed, number), **_sampling(plan)}
            made = pipeline(edit.instruction, source, num_frames=len(source), **sampling)
            verdict, kept = judge_edit(edit, source, made.frames[0])
            yield Record(
                part, edit.operation, edit.instruction, *verdict, False, kept, made.frames[0], source
            )

    return run


def _questions(moving: bool) -> Callable[[OmniVideoPipeline, Plan], Records]:
    def run(pipeline: OmniVideoPipeline, plan: Plan) -> Records:
        part = "video_questions" if moving else "image_questions"
        asked = _few(prompts.questions(moving), plan, "kind")
        for number, some in enumerate(_batches(asked, plan.batch)):
            shown = [render(one.scene, plan.size, plan.num_frames if moving else 1) for one in some]
            answers = _answers(pipeline, [one.question for one in some], shown, noise(plan.seed, number))
            for one, frames, said in zip(some, shown, answers, strict=True):
                right = exact(said, one.answer)
                reason = "" if right else f"expected {one.answer}, said {said[:80]!r}"
                yield Record(part, one.kind, one.question, right, reason, frames=frames)

    return run


def _answers(
    pipeline: OmniVideoPipeline, questions: list[str], shown: Sequence[Pixels], generator: torch.Generator
) -> list[str]:
    """The most likely answers: what the model knows is asked, not how it is sampled."""
    import torch

    from omnivideo.answering import answer
    from omnivideo.frames import as_clip

    clips = torch.cat([as_clip(frames) for frames in shown]).transpose(1, 2)
    with torch.no_grad():
        return answer(
            pipeline.model, questions, clips.to(pipeline.device), generator, ANSWER_TOKENS, temperature=0.0
        )


def _few(asked: Sequence[Any], plan: Plan, group: str | None = None) -> list[Any]:
    """At most `limit` of each group, in their order."""
    if group is None:
        return list(asked)[: plan.limit]
    by_group = groupby(
        sorted(asked, key=lambda one: str(getattr(one, group))), lambda one: getattr(one, group)
    )
    return [one for _, some in by_group for one in list(some)[: plan.limit]]


def _batches(jobs: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    for start in range(0, len(jobs), size):
        yield jobs[start : start + size]


def noise(seed: int, number: int) -> torch.Generator:
    """The noise of one sample, whatever comes before it."""
    import torch

    return torch.Generator().manual_seed(int(np.random.SeedSequence([seed, number]).generate_state(1)[0]))


def _sampling(plan: Plan) -> dict[str, Any]:
    sizes = {"height": plan.size, "width": plan.size}
    return {**sizes, "steps": plan.steps, "guidance_scale": plan.guidance_scale}


_RUNNERS: dict[Part, Callable[[OmniVideoPipeline, Plan], Records]] = {
    **{"image": _images, "video": _videos, "think": _think},
    **{"image_edit": _edits(False), "video_edit": _edits(True)},
    **{"image_questions": _questions(False), "video_questions": _questions(True)},
}
