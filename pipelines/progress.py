"""Progress a person likes: one line a stage with in, kept, rejected, errors, rate and time left."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console
    from rich.live import Live

Event = dict[str, Any]
_MEASURED = {
    "tokens_per_second": "{:,.0f} tokens/s",
    "mfu": "MFU {:.1%}",
    "data_wait": "data wait {:.1%}",
    "memory_gib": "{:.1f} GiB",
}
PLAIN_SECONDS = 5.0  # where nobody watches, a line a stage this often and one at its end


class Progress:
    """Shows the newest event of each stage: lines that update on a terminal, plain lines elsewhere."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._latest: dict[str, Event] = {}
        self._printed: dict[str, float] = {}
        self._live: Live | None = None

    def __enter__(self) -> Progress:
        if self._console.is_terminal:
            from rich.live import Live

            self._live = Live(console=self._console, refresh_per_second=4)
            self._live.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        if self._live:
            self._live.__exit__(None, None, None)

    def show(self, event: Event) -> None:
        """Take one progress event of a job; an older one (a log read twice) changes nothing."""
        stage = str(event["stage"])
        known = self._latest.get(stage)
        if known and (known.get("done") or known.get("seconds", 0) > event.get("seconds", 0)):
            return
        self._latest[stage] = event
        if self._live:
            from rich.text import Text

            self._live.update(Text("\n".join(line(e) for e in self._latest.values())))
        else:
            self._plain(stage, event)

    def _plain(self, stage: str, event: Event) -> None:
        now = time.monotonic()
        if event.get("done") or now - self._printed.setdefault(stage, now) >= PLAIN_SECONDS:
            self._printed[stage] = now
            self._console.print(line(event), markup=False, highlight=False, soft_wrap=True)


def line(event: Event) -> str:
    """Return one stage's line: counts, then rate and time left (or time taken, once it is done)."""
    counts = _training(event) if "steps" in event else _curation(event)
    return f"{event['stage']:<14} {counts}  {_timing(event)}"


def _curation(event: Event) -> str:
    counts = {"in": event.get("in", 0), "kept": event.get("kept"), "rejected": event.get("rejected")}
    counts["errors"] = event.get("errors")
    words = [f"{name} {value:>5,}" for name, value in counts.items() if value is not None]
    reused = event.get("reused")
    return "  ".join(words) + (f"  reused {reused:,}" if reused else "")


def _training(event: Event) -> str:
    step = f"step {event.get('step', 0):>5,}/{event['steps']:,}"
    loss = event.get("loss")
    words = [step] if loss is None else [step, f"loss {loss:8.4f}"]
    words += [form.format(event[name]) for name, form in _MEASURED.items() if event.get(name) is not None]
    return "  ".join(words)


def _timing(event: Event) -> str:
    seconds = float(event.get("seconds", 0.0))
    through = event.get("step", event.get("in", 0)) or 0
    rate = through / seconds if seconds > 0 else 0.0
    if event.get("done"):
        return f"{rate:6.1f}/s  took {duration(seconds)}"
    total = event.get("steps", event.get("total"))
    left = duration((total - through) / rate) if total and rate else "?"
    return f"{rate:6.1f}/s  ETA {left}"


def duration(seconds: float) -> str:
    """Return seconds as a person says them: `8.2 s`, `3 min 05 s`, `2 h 10 min`."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"
