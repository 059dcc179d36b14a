"""One model to its scores: `evaluation.json` and `evaluation.html` in a folder."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

from omnivideo.errors import InputError

Tell = Callable[[str], None]


def evaluate(
    model: str, out: str, parts: Sequence[str], tell: Tell, seed: int = 0, **plan: Any
) -> dict[str, Any]:
    """Judge the model folder `model` in the world of shapes; write and return the report.

    `parts` are those of `omnivideo.evaluation.run.PARTS`, all if there are none; `plan` are the fields of its
    Plan, None for a default. Raises InputError for a part that does not exist or a missing model.
    """
    from omnivideo.evaluation import run
    from omnivideo.evaluation.page import render_page
    from omnivideo.evaluation.scores import summarise
    from pipelines.generation import load

    unknown = [part for part in parts if part not in run.PARTS]
    if unknown:
        raise InputError(
            f"no part is called {unknown[0]!r}", "evaluate", f"Choose from {', '.join(run.PARTS)}"
        )
    pipeline = load(model)
    pipeline.set_progress_bar_config(disable=True)
    defaults = pipeline.omni_config.generation
    given = {"size": defaults.height, "num_frames": defaults.num_frames, "seed": seed}
    given |= {name: value for name, value in plan.items() if value is not None}
    chosen = run.Plan(parts=cast(Any, tuple(parts) or run.PARTS), **given)
    records: list[run.Record] = []
    for record in run.evaluate(pipeline, chosen):
        if not records or record.part != records[-1].part:
            tell(f"judging {record.part}")
        records.append(record)
    report = {
        "model": str(Path(model)),
        "seed": seed,
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "device": _device(pipeline),
        "settings": given,
        "scores": summarise(records),
    }
    return write(report, render_page(report, records), out)


def write(report: dict[str, Any], page: str, out: str) -> dict[str, Any]:
    """Write the report and its page below `out`; return the report with where they are."""
    folder = Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "evaluation.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    (folder / "evaluation.html").write_text(page, encoding="utf-8")
    return report | {"json": str(folder / "evaluation.json"), "page": str(folder / "evaluation.html")}


def _device(pipeline: Any) -> str:
    import torch

    return torch.cuda.get_device_name() if pipeline.device.type == "cuda" else "CPU"
