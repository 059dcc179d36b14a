"""The loop in which a backbone learns: plain, with checkpoints; batches are shared among workers."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import torch
import torch.distributed as dist
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from training.backbones.config import LessonSection
from training.backbones.graphs import Replayed
from training.backbones.rates import groups
from training.batches.noise import generator
from training.parallel.team import Team
from training.run import append
from training.schedule import falling

LEAST_RATE = 0.02  # of the learning rate, at the end
LOG_EVERY = 20  # steps
LINE = "{name} step {step}/{steps} loss {loss:.4f} rate {rate:.2g} {seconds:.0f} s"


class Batch(NamedTuple):
    """What one step learns from, on the device; all of one kind have the same shapes."""

    kind: str
    inputs: tuple[Tensor, ...]


class Lesson(Protocol):
    """One backbone, what it is shown, and what is measured of it."""

    module: nn.Module

    def draw(self, random: torch.Generator, batch: int, progress: float) -> Batch:
        """Return a batch of so many scenes drawn with `random`, a generator on the CPU, `progress` in [0, 1)
        of the way.
        """

    def loss(self, kind: str, *inputs: Tensor) -> Tensor:
        """Return the loss of a batch."""

    def report(self) -> dict[str, float]:
        """Return what the backbone can do, in figures."""


class Fit:
    """One backbone's training, from its checkpoint in `folder` if there is one."""

    def __init__(
        self, name: str, lesson: Lesson, settings: LessonSection, team: Team, folder: Path, seed: int
    ) -> None:
        self.name, self.lesson, self.settings, self.team = name, lesson, settings, team
        self.checkpoint, self.log, self.seed = folder / f"{name}.safetensors", folder / "metrics.jsonl", seed
        self.parameters = [p for p in lesson.module.parameters() if p.requires_grad]
        cuda = team.device.type == "cuda"
        taken = groups(lesson.module, settings.weight_decay)
        for group in taken:  # as tensors, so that a captured step reads those of its time
            group["lr"] = torch.tensor(settings.learning_rate, device=team.device)
        self.optimizer = torch.optim.AdamW(taken, betas=(0.9, 0.98), fused=True, capturable=cuda)
        self.update = Replayed(self._update) if cuda and team.size == 1 else self._update
        self.average = [p.detach().clone() for p in self.parameters]
        self.step, self.before, self.started = 0, 0.0, time.monotonic()
        self.progress = 0.0

    def run(self) -> dict[str, Any]:
        """Learn to the end; the module then has the averaged weights. Return what a run's summary says."""
        self._resume()
        with torch.backends.cudnn.flags(enabled=True, benchmark=True):  # shapes are few, and stay
            first, last = self._learn()
        self._adopt_average()
        report = self.lesson.report()
        self._tell(last, **report)
        count = sum(parameter.numel() for parameter in self.parameters)
        return {
            **{"name": self.name, "steps": self.step, "trainable": count, "frozen": 0},
            **{"first_loss": first or 0.0, "last_loss": last or 0.0, "report": report},
        }

    def _learn(self) -> tuple[float | None, float | None]:
        """Take all steps; return the first and the last loss that the log has of them."""
        saved, running, first = time.monotonic(), None, None
        while self._goes_on():
            loss = self._step()
            if self.step == 1 or self.step % LOG_EVERY == 0:
                running = float(loss)
                first = running if first is None else first
                self._tell(running)
            if self._due(saved):
                self._save()
                saved = time.monotonic()
        return first, running

    def _adopt_average(self) -> None:
        with torch.no_grad():
            for parameter, average in zip(self.parameters, self.average, strict=True):
                parameter.copy_(average)
        self.lesson.module.eval()

    @property
    def seconds(self) -> float:
        """Spent so far, before the checkpoint too."""
        return self.before + time.monotonic() - self.started

    def _goes_on(self) -> bool:
        """Measure how far it is, in [0, 1]; all workers call this, and all get the same: whether to go on."""
        share = 0.0 if self.settings.minutes is None else self.seconds / (60 * self.settings.minutes)
        share = max(self.team.gather(share))
        self.progress = min(1.0, max(share, self.step / self.settings.steps))
        return self.progress < 1.0

    def _step(self) -> Tensor:
        rate = self._rate()
        for group in self.optimizer.param_groups:
            group["lr"].fill_(group["share"] * rate)
        random = generator(self.seed, self.name, self.step, self.team.rank)
        batch = self.lesson.draw(random, max(1, self.settings.batch_size // self.team.size), self.progress)
        loss = self.update(*batch)
        self.step += 1
        decay = min(self.settings.ema_decay, (1 + self.step) / (10 + self.step))
        torch._foreach_lerp_(self.average, [p.detach() for p in self.parameters], 1 - decay)
        return loss

    def _update(self, kind: str, inputs: tuple[Tensor, ...]) -> Tensor:
        """Take a step; nothing in it may wait for the device, so that it can be captured."""
        self.optimizer.zero_grad(set_to_none=True)
        with torch.autocast(self.team.device.type, torch.bfloat16, enabled=self.team.device.type == "cuda"):
            loss = self.lesson.loss(kind, *inputs)
        loss.backward()  # type: ignore[no-untyped-call]
        self._share_gradients()
        nn.utils.clip_grad_norm_(self.parameters, self.settings.max_grad_norm)
        self.optimizer.step()
        return loss.detach()

    def _rate(self) -> float:
        warm = min(1.0, (self.step + 1) / (self.settings.warmup_steps + 1))
        return self.settings.learning_rate * warm * falling(self.progress, LEAST_RATE)

    def _share_gradients(self) -> None:
        if self.team.size == 1:
            return
        gradients = [p.grad if p.grad is not None else torch.zeros_like(p) for p in self.parameters]
        flat = torch.cat([gradient.flatten() for gradient in gradients])
        dist.all_reduce(flat)
        parts = torch.split(flat / self.team.size, [p.numel() for p in self.parameters])
        for parameter, part in zip(self.parameters, parts, strict=True):
            parameter.grad = part.view_as(parameter)

    def _tell(self, loss: float | None, **report: float) -> None:
        if self.team.rank:
            return
        head = {"kind": "step", "phase": self.name, "step": self.step, "steps": self.settings.steps}
        figures = {"loss": loss, "learning_rate": self._rate(), "seconds": round(self.seconds, 2), **report}
        append(self.log, {**head, **figures})
        if self.step % (5 * LOG_EVERY) == 0 or report:
            more = " ".join(f"{key} {value:.4g}" for key, value in report.items())
            said = {**head, "name": self.name, "loss": loss or 0.0, "rate": self._rate()}
            print(LINE.format(**said, seconds=self.seconds), more, flush=True)

    # --- checkpoints

    def _due(self, saved: float) -> bool:
        due = time.monotonic() - saved > 60 * self.settings.checkpoint_minutes
        return bool(self.team.gather(due)[0])

    def _save(self) -> None:
        if self.team.rank:
            return
        partial = self.checkpoint.with_suffix(".partial")
        save_file(self._state(), partial, {"step": str(self.step), "seconds": str(self.seconds)})
        partial.replace(self.checkpoint)

    def _state(self) -> dict[str, Tensor]:
        state = {}
        for number, parameter in enumerate(self.parameters):
            moments = self.optimizer.state.get(parameter, {})
            named: Mapping[str, Tensor] = {"weight": parameter, "average": self.average[number], **moments}
            state.update({f"{number}.{key}": value.detach().cpu().clone() for key, value in named.items()})
        return state

    def _resume(self) -> None:
        self.team.wait()
        if not self.checkpoint.exists():
            return
        from safetensors import safe_open

        with safe_open(self.checkpoint, "pt") as file:
            written = file.metadata()
        state = load_file(self.checkpoint, device=str(self.team.device))
        with torch.no_grad():
            for number, parameter in enumerate(self.parameters):
                parameter.copy_(state[f"{number}.weight"])
                self.average[number].copy_(state[f"{number}.average"])
                moments = {
                    key: state[f"{number}.{key}"]
                    for key in ("step", "exp_avg", "exp_avg_sq")
                    if f"{number}.{key}" in state
                }
                if moments:
                    self.optimizer.state[parameter] = moments
        self.step, self.before = int(written["step"]), float(written["seconds"])
        self.started = time.monotonic()


@contextmanager
def learning(module: nn.Module) -> Iterator[None]:
    """Have a module learn for a while; nothing in it drops out."""
    module.requires_grad_(True).eval()
    try:
        yield
    finally:
        module.requires_grad_(False).eval()
