"""What a person sees while a job runs."""

from __future__ import annotations

import io

from rich.console import Console

from pipelines.progress import Progress, duration, line

FILTERS = {
    "event": "progress",
    "stage": "filters",
    "in": 50,
    "kept": 40,
    "rejected": 9,
    "errors": 1,
    "total": 100,
}


def test_line_names_counts_rate_and_time_left() -> None:
    """A running stage's line has in, kept, rejected, errors, rate and ETA."""
    text = line({**FILTERS, "seconds": 10.0})
    for part in (
        "filters",
        "in    50",
        "kept    40",
        "rejected     9",
        "errors     1",
        "5.0/s",
        "ETA 10.0 s",
    ):
        assert part in text


def test_done_line_says_what_it_took() -> None:
    """A finished stage's line has its duration in place of an ETA."""
    assert "took 1 min 40 s" in line({**FILTERS, "in": 100, "seconds": 100.0, "done": True})


def test_training_line_has_step_and_loss() -> None:
    """A training stage's line has step, steps and loss."""
    text = line(
        {"event": "progress", "stage": "stage-1", "step": 3, "steps": 12, "loss": 0.5, "seconds": 3.0}
    )
    assert "step     3/12" in text
    assert "loss   0.5000" in text
    assert "ETA 9.0 s" in text


def test_training_line_has_what_was_measured() -> None:
    """Tokens a second, use of the device, share of waiting and memory, each where the job says it."""
    event = {
        "stage": "stage-3",
        "step": 3,
        "steps": 12,
        "loss": 0.5,
        "seconds": 3.0,
        "tokens_per_second": 1234.5,
    }
    text = line({**event, "mfu": 0.412, "data_wait": 0.0012, "memory_gib": 61.24})
    assert "1,234 tokens/s  MFU 41.2%  data wait 0.1%  61.2 GiB" in text


def test_plain_lines_when_not_a_terminal() -> None:
    """Where nobody watches, each finished stage is one plain line without control codes."""
    out = io.StringIO()
    with Progress(Console(file=out)) as progress:
        progress.show({**FILTERS, "seconds": 1.0, "done": True})
        progress.show({**FILTERS, "seconds": 1.0, "done": True})  # the same log read twice
    assert out.getvalue().count("filters") == 1
    assert "\x1b" not in out.getvalue()


def test_duration_reads_like_speech() -> None:
    """Seconds become seconds, minutes or hours."""
    assert [duration(s) for s in (8.24, 185, 7800)] == ["8.2 s", "3 min 05 s", "2 h 10 min"]
