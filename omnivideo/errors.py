"""Mistakes a user can mend, told apart from failures of the program."""

from __future__ import annotations


class InputError(ValueError):
    """A wrong input: `what` is wrong, at which `step`, and the `next_step` that mends it.

    Training raises it too. Curation has one of its own: neither it nor the model may import the other.
    """

    def __init__(self, what: str, step: str, next_step: str) -> None:
        super().__init__(f"{step}: {what}. {next_step}")
        self.what, self.step, self.next_step = what, step, next_step

    def __reduce__(self) -> tuple[type[InputError], tuple[str, str, str]]:
        return type(self), (self.what, self.step, self.next_step)
