"""Tells the command line how far a run is, by reading the log that its workers write."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from training.events import emit
from training.model.parameters import parts_table
from training.monitoring.prometheus import count_step
from training.run import tail
from training.stages import PHASES

POLL_SECONDS = 0.3
SAID = (
    *("reason", "sample_ids", "rolled_back_to"),
    *("grad_norm", "learning_rate", "tokens_per_second", "mfu", "data_wait", "memory_gib"),
)


@contextmanager
def following(log: Path) -> Iterator[None]:
    """Emit a progress event for every step that is logged while the body runs."""
    stop = threading.Event()
    thread = threading.Thread(target=_follow, args=(log, stop), daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _follow(log: Path, stop: threading.Event) -> None:
    started: dict[str, float] = {}
    offset = log.stat().st_size if log.exists() else 0
    ended = False
    while not ended:
        ended = stop.wait(POLL_SECONDS)  # and once more after the end
        offset = min(
            offset, log.stat().st_size if log.exists() else 0
        )  # it may be taken back to a checkpoint
        new, offset = tail(log, offset)
        for entry in new:
            begun = started.setdefault(entry["phase"], time.time() - entry.get("seconds", 0.0))
            _tell(entry, time.time() - begun)


def _tell(entry: Mapping[str, Any], seconds: float) -> None:
    if entry["kind"] in {"held_out", "clips"}:
        return
    step, steps = entry["step"], entry["steps"]
    done = entry["kind"] == "probe" and step == steps
    more = {name: entry[name] for name in SAID if name in entry}
    if "parameters" in entry:
        phase = next(phase for phase in PHASES if phase.name == entry["phase"])
        print(parts_table(phase, entry["parameters"]), flush=True)
    if entry["kind"] != "unsaved":
        count_step(entry)
    head = {"stage": entry["phase"], "step": step, "steps": steps, "loss": entry["loss"]}
    emit("progress", **head, seconds=round(seconds, 1), done=done, **more)
