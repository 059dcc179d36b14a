"""Counting what a step loses to errors: a step that loses most of its input is at fault itself."""

from __future__ import annotations

from collections import Counter

MIN_INPUTS = 10  # with fewer, a share says nothing


class StoppedError(RuntimeError):
    """The run cannot go on, and it is not the user's input that is wrong: what, at which step, what to do."""

    def __init__(self, what: str, step: str, next_step: str) -> None:
        super().__init__(f"{what} (while {step}); {next_step}")
        self.what = what
        self.step = step
        self.next_step = next_step


class Losses:
    """Errors by step. `max_share` is the share of its inputs that a step may lose."""

    def __init__(self, max_share: float) -> None:
        self._max_share = max_share
        self._reasons: dict[str, Counter[str]] = {}
        self._examples: dict[tuple[str, str], str] = {}

    def add(self, step: str, reason: str, example: str) -> None:
        """Count one input that a step lost; `example` is its name and message."""
        self._reasons.setdefault(step, Counter())[reason] += 1
        self._examples.setdefault((step, reason), example)

    def check(self, inputs: dict[str, int]) -> None:
        """Raise StoppedError if a step has lost too much of its `inputs` (so many or fewer, by step)."""
        for step, reasons in self._reasons.items():
            lost, total = reasons.total(), inputs.get(step, 0)
            if total < MIN_INPUTS or lost <= self._max_share * total:
                continue
            reason, _ = reasons.most_common(1)[0]
            what = (
                f"{lost} of {total} inputs failed at {step}, most as {reason}: {self._examples[step, reason]}"
            )
            knob = "nothing is published; if so many bad files are expected, raise shards.max_error_share"
            raise StoppedError(what, step, f"{knob} (now {self._max_share:g})")
