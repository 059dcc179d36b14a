"""Steps that depend on each other, each a process with a log of its own and a marker once it is done."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from training.run import append

TOLD = 12  # last lines of a failed step's log
MODULE = "tests.benchmarks.learns"


@dataclass(frozen=True)
class Step:
    """One process, or a milestone, which has no arguments.

    It starts when `needs` are done and `after` are over, however they ended. For `waits` it waits itself, its
    imports behind it, and is ended if one of them fails.
    """

    name: str
    arguments: tuple[str, ...] = ()
    gpu: int = 0
    needs: tuple[str, ...] = ()
    waits: tuple[str, ...] = ()
    after: tuple[str, ...] = ()


@dataclass
class Graph:
    """Runs steps, as many at once as may run; what is done already, by its marker, is not done again.

    `environment` says that of a GPU's processes; `reach` is called at each milestone.
    """

    steps: Sequence[Step]
    out: Path
    environment: Callable[[int], Mapping[str, str]]
    reach: Callable[[str], None]
    over: dict[str, str] = field(default_factory=dict)
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def run(self) -> bool:
        """Run all; return whether all are done."""
        for folder in (self.out / "markers", self.out / "results/logs"):
            folder.mkdir(parents=True, exist_ok=True)
        self.started = time.time()
        states(self.out).unlink(missing_ok=True)
        try:
            while len(self.over) < len(self.steps):
                for step in self.steps:
                    self._consider(step)
                time.sleep(0.2)
        finally:
            for process in self.running.values():
                end(process)
        return set(self.over.values()) == {"done"}

    def _consider(self, step: Step) -> None:
        if step.name in self.over:
            return
        lost = [name for name in (*step.needs, *step.waits) if self.over.get(name) in {"failed", "skipped"}]
        process = self.running.get(step.name)
        if process and (code := process.poll()) is not None:
            self._finish(step, code)
        elif lost:
            if process:
                end(self.running.pop(step.name))
            self._tell(step, "skipped", why=f"{lost[0]} is {self.over[lost[0]]}")
        elif marker(self.out, step.name).exists():
            self._tell(step, "done", before=True)
        elif not process and self._may_start(step):
            self._start(step)

    def _may_start(self, step: Step) -> bool:
        needed = all(self.over.get(name) == "done" for name in step.needs)
        return needed and all(name in self.over for name in step.after)

    def _start(self, step: Step) -> None:
        if not step.arguments:
            self._tell(step, "done")
            self.reach(step.name)
            marker(self.out, step.name).touch()
            return
        self._tell(step, "started")
        with log(self.out, step.name).open("ab") as file:
            self.running[step.name] = subprocess.Popen(
                [sys.executable, "-u", "-m", MODULE, *step.arguments],
                **{"stdout": file, "stderr": subprocess.STDOUT, "stdin": subprocess.DEVNULL},
                env={**os.environ, **self.environment(step.gpu)},
                start_new_session=True,  # what it started itself is ended with it
            )

    def _finish(self, step: Step, code: int) -> None:
        del self.running[step.name]
        if code == 0:
            marker(self.out, step.name).touch()
            self._tell(step, "done")
        else:
            self._tell(step, "failed", code=code, told=last_lines(log(self.out, step.name), TOLD))

    def _tell(self, step: Step, state: str, **more: Any) -> None:
        """Write down where a step stands: in the list of steps, at the ends of its log, and on the output."""
        seconds = round(time.time() - self.started, 1)
        if state != "started":
            self.over[step.name] = state
        entry = {"step": step.name, "state": state, "seconds": seconds, "gpu": step.gpu, **more}
        append(states(self.out), entry)
        if step.arguments and state != "skipped":
            with log(self.out, step.name).open("a") as file:
                file.write(f"# {state} after {seconds} s: {' '.join(step.arguments)}\n")
        told = "".join(f"\n    {line}" for line in more.get("told", [])) or more.get("why", "")
        print(f"{seconds:7.1f} s  {state:8}{step.name} {told}", flush=True)


def marker(out: Path, name: str) -> Path:
    """The file that is there once a step is done."""
    return out / "markers" / name


def log(out: Path, name: str) -> Path:
    """What a step says."""
    return out / "results/logs" / f"{name}.log"


def end(process: subprocess.Popen[bytes]) -> None:
    """End a step's process and those that it started."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def last_lines(path: Path, count: int) -> list[str]:
    """The end of a log, without empty lines."""
    text = path.read_bytes()[-20_000:].decode(errors="replace") if path.exists() else ""
    return [line.rstrip() for line in text.replace("\r", "\n").splitlines() if line.strip()][-count:]


def states(out: Path) -> Path:
    """The log of where steps stood."""
    return out / "results/steps.jsonl"
