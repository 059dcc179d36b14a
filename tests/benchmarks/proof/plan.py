"""The proof as steps: what runs on which GPU, and after what.

Lessons are measured in minutes, so a single GPU gives one at a time; on two, autoencoder and reader are
taught side by side, then a painter on each. Stage 1 runs beside painters' lessons, judges beside stages.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.proof.requests import Requests, Variant
from tests.benchmarks.proof.steps import Step, marker

FINAL = {
    "image": ("image",),
    "video": ("video", "image_questions", "video_questions"),
    "image-edit": ("image_edit",),
    "video-edit": ("video_edit",),
    "think": ("think",),
}
"""Judges of a finished model, a process each; edits are made one at a time."""
QUESTIONS = ("image_questions", "video_questions")
STAGE_3 = ("--seconds", "stage-3=400")
WHOLE = tuple(f"stages.{phase}.generation_first_share=0" for phase in ("stage_2_flow", "stage_3"))
ABLATIONS: dict[str, tuple[Variant, tuple[str, ...]]] = {
    "all": (Variant(), ()),
    "query-head": (Variant((), {"vision_head.mode": "query"}), ()),
    "no-alignment": (Variant(), ("--seconds", "stage-2-align=0")),
    "no-sub-stages": (Variant(WHOLE), ()),
    "apart": (Variant(), ("--apart",)),
}
"""What of the recipe is changed, and what the stages are told."""


@dataclass(frozen=True)
class Plan:
    """All steps of a proof in the folder `out`."""

    out: Path
    requests: Requests
    seeds: Sequence[int]
    gpus: int
    teaching: tuple[str, ...] = ()
    judging: tuple[str, ...] = ()

    def steps(self, ablations: bool) -> list[Step]:
        """The main ones up to the milestone `judged`, then those of the ablations, then `done`."""
        main = [*self._backbones(), *(step for seed in self.seeds for step in self._seed(seed))]
        judged = Step("judged", after=names(main))
        more = list(self._ablations()) if ablations else []
        return [*main, judged, *more, Step("done", after=("judged", *names(more)))]

    def _backbones(self) -> Iterator[Step]:
        first = self.requests.of_seed(self.seeds[0])
        alone = self.gpus == 1
        yield self._lesson("autoencoder", first, 0)
        yield self._lesson("reader", first, 1, ("autoencoder",) if alone else ())
        lessons = ["reader"] if alone else [""] * self.gpus  # that a painter of this GPU waits for
        for place, seed in enumerate(self.seeds):
            before = tuple(filter(None, [lessons[place]]))
            lessons.append(f"painter-{seed}")
            request = self.requests.of_seed(seed, None if place == 0 else self.seeds[0])
            yield self._lesson("painter", request, place, ("autoencoder", *before), f"painter-{seed}")

    def _lesson(
        self, lesson: str, request: Path, place: int, waits: tuple[str, ...] = (), name: str = ""
    ) -> Step:
        arguments = ("backbones", str(request), "--only", lesson, *self.teaching, *self._wait(waits))
        return Step(name or lesson, arguments, place % self.gpus, waits=waits)

    def _seed(self, seed: int) -> Iterator[Step]:
        """One seed, from the partial model that its painter is missing in, to the last judge."""
        run, gpu = self.requests.run(seed), self.seeds.index(seed) % self.gpus
        request = str(self.requests.of_seed(seed))
        early, one, late, stages, painted = (
            f"{step}-{seed}" for step in ("early", "stage-1", "late", "stages", "after-stage-2")
        )
        learned = ("autoencoder", "reader")
        yield Step(early, ("early", request), gpu, waits=learned, after=("autoencoder",))
        waiting = ("stage", request, "--stage", "1", *self._wait((early,)))
        yield Step(one, waiting, gpu, waits=(early,), after=("autoencoder",))
        before = ()
        if seed == self.seeds[0]:  # all seeds have one reader
            yield self._judge("before", run / "init", f"seed-{seed}/before", QUESTIONS, gpu, early)
            before = ("before",)
        yield self._judge(
            f"after-stage-1-{seed}", run / "stage-1/model", f"seed-{seed}/after-stage-1", QUESTIONS, gpu, one
        )
        models = [str(run / model) for model in ("init", "stage-1/model", "model")]
        over = (f"after-stage-1-{seed}", *before)
        yield Step(late, ("late", request, *models), gpu, (one,), (f"painter-{seed}",), over)
        waiting = ("stage", request, *self._wait((late,)), *STAGE_3)
        yield Step(stages, waiting, gpu, needs=(one,), waits=(late,))
        yield self._judge(
            painted, run / "stage-2/model", f"seed-{seed}/after-stage-2", ("image",), gpu, stages, (late,), 1
        )
        for name, parts in FINAL.items():
            judge, model = f"final-{name}-{seed}", run / "stage-3/model"
            yield self._judge(judge, model, f"seed-{seed}/final", parts, gpu, stages, (painted,))

    def _ablations(self) -> Iterator[Step]:
        """From the first seed's backbones and stage 1 (queries: their own), once all else is judged."""
        seed = self.seeds[0]
        over = tuple(f"stages-{one}" for one in self.seeds)
        for place, (name, (variant, told)) in enumerate(ABLATIONS.items()):
            own, gpu, waits = "vision_head.mode" in variant.shapes, place % self.gpus, ("judged",)
            request, run = self.requests.ablation(name, variant, seed, own), self.requests.run(name)
            if own:
                put = f"ablation-{name}-model"
                yield Step(put, ("backbones", str(request), "--only"), gpu, (f"late-{seed}",), after=over)
                waits = (put, "judged")
            step = f"ablation-{name}"
            arguments = ("stage", str(request), *self._wait(waits), *told)
            yield Step(step, arguments, gpu, (f"late-{seed}",), waits, over)
            ends = {"stopped": "2", name: "3"} if name == "all" else {name: "3"}
            for end, stage in ends.items():
                for part in ("image", "image_edit"):
                    judge, model = f"ablation-{end}-{part}", run / f"stage-{stage}/model"
                    made = f"ablations/{end}"
                    yield self._judge(judge, model, made, (part,), gpu, step, ("judged",), 1)

    def _judge(
        self,
        name: str,
        model: Path,
        scores: str,
        parts: tuple[str, ...],
        gpu: int,
        maker: str,
        after: tuple[str, ...] = (),
        samples: int = 4,
    ) -> Step:
        """Judge a model that `maker` makes, `after` others are over."""
        to = str(self.out / "results/scores" / scores)
        arguments = ("judge", str(model), to, *parts, "--wait", "--samples", str(samples), *self.judging)
        return Step(name, arguments, gpu, waits=(maker,), after=after or ("autoencoder",))

    def _wait(self, names: tuple[str, ...]) -> tuple[str, ...]:
        return ("--wait", *(str(marker(self.out, name)) for name in names)) if names else ()


def names(steps: Sequence[Step]) -> tuple[str, ...]:
    """The names of steps."""
    return tuple(step.name for step in steps)
