"""The two ways training fails: the user's input is wrong, or a promise of the run does not hold."""

from __future__ import annotations


class InputError(ValueError):
    """Something the user wrote or pointed at is wrong; the command line prints it in one line and exits 2.

    `what` is wrong, in which `step`, and what to do about it (`next_step`).
    """

    def __init__(self, what: str, step: str, next_step: str) -> None:
        super().__init__(what)
        self.what = what
        self.step = step
        self.next_step = next_step

    def __reduce__(self) -> tuple[type[InputError], tuple[str, str, str]]:
        return type(self), (self.what, self.step, self.next_step)


class TrainingError(RuntimeError):
    """A promise of the run is broken: a frozen part moved, or gradients stay without a finite value."""
