"""Why a Ray Job ended without a result, as one line: what happened, in which step, and what to do next."""

from __future__ import annotations

import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Any

AGAIN = "run the same command again: it goes on where it was"
LESS = {
    "curation.job": "each CPU of Ray's holds the frames of one clip: give it fewer, or more memory",
    "training.job": "lower stages.*.micro_batch_size, cluster.num_workers or stages.cache_megabytes",
    "training.encoding.job": "lower stages.encode_together or cluster.num_workers",
    "pipelines.evaluation_job": "lower evaluation.batch",
}
GONE = "GONE"  # the status of a job whose cluster does not answer any more, or does not know it
SHELL = 128  # plus the signal's number: the exit code of a shell whose command was killed
SCARCE = ("low on memory", "OutOfMemory", "OOM")  # how Ray says that its memory monitor ended a process


@dataclass(frozen=True)
class Ending:
    """What Ray says of a job that ended: its status, its driver's exit code if it had one, a message."""

    status: str
    exit_code: int | None = None
    message: str = ""


def tell(module: str, ending: Ending, said: dict[str, Any], stage: str, log: Path) -> str:
    """Return the line about a job of `module` whose last event was `said` and newest stage `stage`.

    A job that could still say what went wrong is quoted; of any other the exit code has to do.
    """
    if said.get("event") == "error":
        what, step, then = str(said["what"]), str(said["step"]), str(said.get("next") or AGAIN)
    else:
        what, step, then = _what(ending), stage, AGAIN
        if _for_want_of_memory(ending):
            then = f"{AGAIN}. If it is killed again: {LESS.get(module, 'give the machine more memory')}"
    return f"{what.rstrip('.')} (while {step}). {then[0].upper()}{then[1:].rstrip('.')}; the whole log: {log}"


def _what(ending: Ending) -> str:
    number = _signal(ending.exit_code)
    if ending.status == "STOPPED":
        return "the job was stopped, by another command or in Ray's dashboard"
    if number is not None:
        cause = ", most likely because memory ran out" if number == signal.SIGKILL else ""
        return f"the job's driver was killed by signal {number} ({signal.Signals(number).name}){cause}"
    if ending.exit_code is not None:
        return f"the job's driver ended with exit code {ending.exit_code} and said nothing"
    if ending.status == GONE:
        return "the Ray cluster does not answer any more: its head, or the whole machine, is gone"
    first = ending.message.strip().splitlines() or [f"it ended as {ending.status}"]
    cause = ", because memory ran out" if _for_want_of_memory(ending) else ""
    return f"Ray lost the job{cause}: {first[0][:300]}"


def _signal(exit_code: int | None) -> int | None:
    """The signal that ended a process, or what its shell ran."""
    if exit_code is None:
        return None
    number = -exit_code if exit_code < 0 else exit_code - SHELL
    return number if number in {int(one) for one in signal.Signals} else None


def _for_want_of_memory(ending: Ending) -> bool:
    lost = ending.exit_code is None and any(word in ending.message for word in SCARCE)
    return lost or _signal(ending.exit_code) == signal.SIGKILL
