"""Counting what is lost to errors: a step that loses most of its input is at fault itself.

Where nothing at all could be read, the input is: with fewer than MIN_INPUTS only that can be told.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from curation.errors import InputError

READING = ("sources", "decode")  # steps that fail for what a file is, not for what is asked of it
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


def check_read(rows: Sequence[Mapping[str, Any]], inputs: int, place: str) -> None:
    """Raise InputError if these rows, all of a run's `inputs`, say that none could be read.

    They are published by then, at `place`: the account is complete, and the next run goes on from it.
    """
    unread = [row for row in rows if row["verdict"] == "error" and row["filter"] in READING]
    hashes = {None, *(row["source_sha256"] for row in unread)}  # copies of these were read no better
    if not unread or any(row["source_sha256"] not in hashes for row in rows):
        return
    reason, _ = Counter(row["reason"] for row in unread).most_common(1)[0]
    first = next(row for row in unread if row["reason"] == reason)
    what = f"0 of {inputs} inputs could be read, most end as {reason}: {first['uri']}: {first['detail']}"
    raise InputError(what, "reading sources", f"each has its row in {place}; correct the sources")
