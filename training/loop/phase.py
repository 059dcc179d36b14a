"""One phase: the loop that all stages share."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from omnivideo.sequence import SequenceParallel
from training.batches.batch_plan import Batch, Draw
from training.batches.collator import Collator, Encodings
from training.batches.phase_plan import PhasePlan
from training.checkpoints.checkpoint import Checkpoint
from training.checkpoints.saving import Keep, Saver
from training.config import ClusterSection, StageSection
from training.data.loader import Loader
from training.encoding.encoders import Encoders
from training.encoding.on_the_fly import OnTheFly
from training.encoding.together import Together
from training.errors import TrainingError
from training.loop.context import Context
from training.model.parameters import count_parameters, trained
from training.model.trainee import Trainee
from training.monitoring import clips, throughput
from training.monitoring.evaluation import Evaluation
from training.monitoring.flops import Flops
from training.monitoring.loss_meter import LossMeter, finite
from training.monitoring.spikes import SpikeWatch
from training.parallel.engine import Engine
from training.parallel.replicas import Replicas
from training.run import entries
from training.speed.setting_up import Speed, set_up
from training.stages import IN_SEQUENCE, Phase, learning_rate
from training.stop import Stopped

if TYPE_CHECKING:
    from omnivideo.model import OmniVideoModel


class PhaseLoop:
    """Trains `phase` from a checkpoint of it, or from the start."""

    def __init__(self, context: Context, phase: Phase, plan: PhasePlan, model: OmniVideoModel) -> None:
        self.context, self.phase, self.plan = context, phase, plan
        self.stages = context.request.stages
        self.settings: StageSection = phase.settings(self.stages)
        self.trainee = Trainee(model, phase.trainable, self.settings, self.stages.seed)
        self.zero = zero_of(phase, context.request.cluster)
        self.engine = Engine(
            *(self.trainee, self.settings, context.team.device, self.stages.ema_decay),
            *(self.zero, model.dit),
        )
        stored = self.settings.visual_tokens == "stored"
        head = copy.deepcopy(model.vision_head).requires_grad_(False).eval() if stored else None
        encoders = Encoders(model, context.team.device, head)
        most = self.stages.encode_together
        on_the_fly = (encoders, Loader(context.dataset), context.cache, phase.objective)
        share = self.settings.batch_size // context.team.size
        self.encodings: Encodings = (
            (Together(*on_the_fly, most=most, batch=share) if most > 1 else OnTheFly(*on_the_fly))
            if context.encoded is None
            else context.encoded.encodings(encoders, context.cache)
        )
        self.collator = Collator(
            *(encoders, self.encodings, phase, self.settings.fps),
            *(context.request.mix.caption_dropout, stored, self.stages.time_distribution),
        )
        alone = Replicas.at(context.team.rank, context.team.size)
        self.replicas = context.replicas if phase.objective == IN_SEQUENCE else alone
        shared = self.replicas.each > 1
        self.sequence = SequenceParallel(model.dit, self.replicas.group) if shared else None
        self.speed = self._set_up(model) if phase.objective == "flow" else None
        self.evaluation = Evaluation(
            *(self.collator, self.trainee, context.team, self.replicas),
            *(self.settings.micro_batch_size, self._seed()),
        )
        self.saver = Saver(
            *(context.run.checkpoints, phase.name, self.engine, context.team),
            Keep(self.stages.keep_checkpoints, self.stages.keep_best),
            self._tell_unsaved,
        )
        self.skipped, self.stopping = 0, False
        self.counts = count_parameters(model.parts())
        self.flops = Flops(model, trained(phase, self.counts))

    def _set_up(self, model: OmniVideoModel) -> Speed:
        buckets, each = [bucket for bucket, _ in self.plan.streams], self.replicas.each
        plain = self.stages.speed.model_copy(update={"compile": False})  # weights come and go by layer
        stages = self.stages.model_copy(update={"speed": plain}) if self.zero == 3 else self.stages
        return set_up(model, stages, self.settings, buckets, self.context.team, each)

    def run(self, found: Checkpoint | None) -> None:
        """Take the remaining steps."""
        try:
            start = self.saver.restore(found) if found else self._begin()
            self.watch = SpikeWatch(self.stages.spike_factor, self._losses_taken())
            for step in range(start, start + self.encodings.ahead):
                self._prefetch(step)
            for step in range(start, self.plan.steps):
                self._step(step)
                loss = None
                if self._due(step + 1, self.stages.evaluate_every):
                    loss = self._hold_out(step + 1)  # before the checkpoint: a resumed run need not repeat it
                self._make_clips(step + 1)
                if self._due(step + 1, self.stages.checkpoint_every) or self.stopping:
                    self.saver.start(step + 1, loss)
                if self.stopping:
                    self._stop(step + 1)
            self.saver.complete()  # before the average takes the place of what was trained
            self.engine.adopt_average()
            self._probe(self.plan.steps)
        finally:
            self.saver.abandon()
            self.encodings.close()
            if self.sequence:
                self.sequence.remove()
            if self.speed:
                self.speed.blocks.remove()
        self.engine.close()

    def _begin(self) -> int:
        self._probe(0)
        self._hold_out(0)
        if self.stages.spike_factor and self.stages.spike_policy == "rollback":
            self.saver.start(0)  # somewhere to go back to
        return 0

    def _stop(self, step: int) -> None:
        failed = self.saver.complete()
        saved = f"no checkpoint could be saved: {failed}" if failed else "a checkpoint is saved"
        raise Stopped(self.phase.name, f"stopped as asked after step {step} of {self.plan.steps}; {saved}")

    def _tell_unsaved(self, step: int, why: str) -> None:
        print(f"{self.phase.name}: the checkpoint of step {step} could not be written: {why}", flush=True)
        self.context.log({**self._head("unsaved", step), "loss": None, "reason": why})

    def _losses_taken(self) -> list[float]:
        """Return the phase's losses so far: from the log, so that a resumed run judges alike."""
        if self.stages.spike_factor is None:
            return []
        log = entries(self.context.run.metrics) if self.context.team.rank == 0 else []
        mine = [e["loss"] for e in log if e["kind"] == "step" and e["phase"] == self.phase.name]
        return self.context.team.gather([loss for loss in mine if loss is not None])[0]

    def _due(self, step: int, every: int) -> bool:
        return step % every == 0 or step == self.plan.steps

    def _step(self, step: int) -> None:
        started, waited = time.perf_counter(), self.encodings.waited
        sub_stage, batch = self.plan.batch(step)
        meter = LossMeter(self.replicas.each)
        for losses in self._losses(batch, (*self._seed(), sub_stage), meter):
            # With shared sequences too: a worker's gradients are then its part of its replica's.
            share = len(batch.draws) / self.context.team.size
            self.engine.backward(losses.sum() / share)
        self._prefetch(step + self.encodings.ahead)
        self._begin_noise(step + 1)
        if self.context.team.rank == 0 and self.context.run.stop.exists():
            meter.note("stop")
        if self.saver.written:
            meter.note("written")
        rate = learning_rate(self.settings, step)
        means = meter.means(self.context.team, len(batch.draws))
        self.stopping = meter.noted("stop") > 0
        if meter.noted("written") == self.context.team.size:  # all at once: sealing takes all of them
            self.saver.complete()
        outcome = self._update(rate, means["loss"], batch, meter)
        seconds, waited = time.perf_counter() - started, self.encodings.waited - waited
        self.context.log(
            {
                **self._head("skipped" if "reason" in outcome else "step", step + 1),
                "sub_stage": sub_stage,
                **means,
                "learning_rate": rate,
                **throughput.figures(self.context.team, seconds, waited, means["tokens"], means["flops"]),
                "bucket": batch.bucket._asdict(),
                **outcome,
            }
        )

    def _update(self, rate: float, loss: float | None, batch: Batch, meter: LossMeter) -> dict[str, Any]:
        """Take the step, unless loss or gradients forbid it; return what the log says of it."""
        limit = self.watch.limit()
        if limit is not None and loss is not None and loss > limit:
            self.engine.drop()
            named = self._name(batch, meter.above(limit), f"a loss above {limit:.4g}")
            return {"grad_norm": None, "reason": "spike", "limit": limit, **named, **self._roll_back()}
        stepped = self.engine.step(rate)
        by_part = {part: finite(norm) for part, norm in stepped.parts.items()}
        outcome = {"grad_norm": finite(stepped.grad_norm), "grad_norms": by_part}
        if not stepped.applied:
            named = self._name(batch, meter.above(math.inf), "no finite gradients")
            return {**outcome, "reason": "not_finite", **named}
        self.skipped = 0
        self.watch.take(loss)
        return outcome

    def _roll_back(self) -> dict[str, int]:
        """If the recipe wants it, return to the newest checkpoint; the next batch is the one after this.

        Going over the same batches again would only lead here again, so they all stay left out.
        """
        if self.stages.spike_policy == "skip":
            return {}
        return {"rolled_back_to": self.saver.roll_back()}

    def _losses(self, batch: Batch, key: tuple[object, ...], meter: LossMeter) -> Iterator[Tensor]:
        """Yield the losses of each sub-batch of this worker's share; backward must follow before the next."""
        for draws in self._micro_batches(batch):
            together = []
            for sub_batch in self.collator.collate(draws, batch.bucket, key):
                losses = self.engine.losses(sub_batch)
                meter.add(sub_batch, draws, losses, self.flops.of(sub_batch))
                if self.zero == 1:
                    yield losses
                else:
                    together.append(losses)
            if together:  # all workers must go backward equally often, whatever their samples
                yield torch.cat(together)

    def _micro_batches(self, batch: Batch) -> Iterator[Sequence[Draw]]:
        mine, size = self.replicas.share(batch), self.settings.micro_batch_size
        return (mine[start : start + size] for start in range(0, len(mine), size))

    def _prefetch(self, step: int) -> None:
        if step < self.plan.steps:
            _, batch = self.plan.batch(step)
            self.collator.prefetch(self.replicas.share(batch), batch.bucket)

    def _begin_noise(self, step: int) -> None:
        if step < self.plan.steps:
            sub_stage, batch = self.plan.batch(step)
            self.collator.begin_noise(self.replicas.share(batch), batch.bucket, (*self._seed(), sub_stage))

    def _seed(self) -> tuple[object, ...]:
        return (self.stages.seed, self.phase.name)

    def _name(self, batch: Batch, mine: list[str], what: str) -> dict[str, list[str]]:
        """Name the samples of a step that was skipped; stop the run when too many were in a row."""
        self.skipped += 1
        named = sorted({name for names in self.context.team.gather(mine) for name in names})
        named = named or [draw.sample.sample_id for draw in batch.draws]
        if self.skipped > self.stages.max_skipped_steps:
            raise TrainingError(
                f"{self.phase.name}: {what} in {self.skipped} steps; last samples: {', '.join(named)}"
            )
        return {"sample_ids": named}

    def _probe(self, step: int) -> None:
        """Log the loss on a fixed batch of each kind, before the phase and after it."""
        with self.engine.whole():
            means = _losses_alone(self.evaluation.probe(self.plan))
        first = {
            **{"parameters": self.counts, "samples": self.plan.tasks, "too_short": self.plan.left_out},
            "device": throughput.device(self.context.team) | (self.speed.choices if self.speed else {}),
        }
        self.context.log({**self._head("probe", step), **means, **({} if step else first)})

    def _hold_out(self, step: int) -> float | None:
        """Log and return the loss on samples that are never trained on, if any; of the model that would be
        exported.
        """
        if not self.plan.held_out:
            return None
        with self.engine.averaged(), self.engine.whole():
            means = self.evaluation.held_out(self.plan)
        self.context.log({**self._head("held_out", step), **means})
        loss: float | None = means["loss"]
        return loss

    def _make_clips(self, step: int) -> None:
        """Have the model that would be exported show the recipe's prompts, if it is time to."""
        if clips.wanted(self.stages, self.phase, step, self.plan.steps):
            folder = self.context.run.clips / f"{self.phase.name}-{step:08d}"
            with self.engine.averaged(), self.engine.whole(), self._each_alone():
                made = clips.make(self.trainee.model, self.stages, self.phase, folder, self.context.team)
            self.context.log({**self._head("clips", step), "clips": made})

    def _each_alone(self) -> AbstractContextManager[None]:
        return self.sequence.paused() if self.sequence else nullcontext()

    def _head(self, kind: str, step: int) -> dict[str, Any]:
        return {"kind": kind, "phase": self.phase.name, "step": step, "steps": self.plan.steps}


def zero_of(phase: Phase, cluster: ClusterSection) -> int:
    """Return the stage of ZeRO for a phase: 3 divides the transformer's weights, if it trains."""
    return min(cluster.zero, 3 if "dit" in phase.trainable else 2)


def _losses_alone(means: dict[str, Any]) -> dict[str, Any]:
    return {name: means[name] for name in ("loss", "tasks", "losses")}
