"""What the sources of a recipe offer to training, against the mix that its batches are to have."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from training.config import TABLE_1, MixSection


def table(listed: Iterable[Mapping[str, Any]], mix: MixSection) -> list[dict[str, Any]]:
    """Return for each task its target share, the records that datasets have for it, and the epochs.

    `listed` are the sources of a forecast; those that are no datasets have no task before they are curated.
    Epochs are the passes over a task while as many samples are drawn as there are records in all: under one,
    some are never drawn; None, there are none to draw.
    """
    counts = dict.fromkeys(TABLE_1, 0)
    for one in listed:
        if "task" in one:
            counts[one["task"]] += one["inputs"]
    weights = {task: float((mix.weights or TABLE_1).get(task, 0.0)) for task in TABLE_1}
    whole, records = sum(weights.values()), sum(counts.values())
    present = sum(weights[task] for task, count in counts.items() if count)
    rows = []
    for task, count in counts.items():
        drawn = records * weights[task] / present if present else 0.0
        row = {"task": task, "target": round(weights[task] / whole, 4) if whole else 0.0, "records": count}
        row["share"] = round(count / records, 4) if records else 0.0
        rows.append({**row, "epochs": round(drawn / count, 3) if count else None})
    return rows


def lines(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield the lines that show such a table."""
    if not rows:
        return
    yield f"mix      {'task':<20} {'target':>8} {'there':>8} {'records':>14} {'epochs':>8}"
    for row in rows:
        epochs = "none" if row["epochs"] is None else f"{row['epochs']:.2f}"
        yield (
            f"         {row['task']:<20} {row['target']:>8.2%} {row['share']:>8.2%} "
            f"{row['records']:>14,} {epochs:>8}"
        )
