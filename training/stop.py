"""Stopping on request: a signal to the job becomes a file, which workers see at the end of their step."""

from __future__ import annotations

import signal
import types
from collections.abc import Iterator
from contextlib import contextmanager

from training.run import Run


class Stopped(Exception):
    """The run was asked to stop during `phase`, and has saved a checkpoint."""

    def __init__(self, phase: str, what: str) -> None:
        super().__init__(what)
        self.phase = phase


@contextmanager
def stopping_on_sigterm(run: Run) -> Iterator[None]:
    """While the body runs, SIGTERM to this process asks the run's workers to stop.

    A cluster that stops a job sends it to the job alone, and kills what is left half a minute later.
    """
    run.stop.unlink(missing_ok=True)

    def ask(number: int, frame: types.FrameType | None) -> None:
        run.stop.touch()

    before = signal.signal(signal.SIGTERM, ask)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
        run.stop.unlink(missing_ok=True)
