"""One model to its scores: `evaluation.json` and `evaluation.html` in a folder."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import Any, cast

from omnivideo.errors import InputError

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Outside:
    """What comes from elsewhere: GenEval's prompts and the folders of its models, a folder for VBench."""

    geneval: str | None = None
    detector: str | None = None
    clip: str | None = None
    vbench: str | None = None
    vbench_prompts: str | None = None


def evaluate(
    model: str,
    out: str,
    parts: Sequence[str],
    tell: Tell,
    seed: int = 0,
    outside: Outside | None = None,
    **plan: Any,
) -> dict[str, Any]:
    """Judge the model folder `model`; write and return the report.

    `parts` are those of `omnivideo.evaluation.run.PARTS`; if there are none, all, or with GenEval's prompts
    or an export for VBench just those. `plan` are the fields of its Plan, None for a default. Raises
    InputError for a part that does not exist, a missing model, missing weights, and prompts that cannot be
    read.
    """
    from omnivideo.evaluation import run
    from omnivideo.evaluation.page import render_page
    from omnivideo.evaluation.scores import summarise
    from pipelines.generation import load

    unknown = [part for part in parts if part not in run.PARTS]
    if unknown:
        known = ", ".join(run.PARTS)
        raise InputError(f"no part is called {unknown[0]!r}", "evaluate", f"Choose from {known}")
    outside = outside or Outside()
    asked = _geneval(outside)
    told = _lines(outside.vbench_prompts) if outside.vbench_prompts else []
    pipeline = load(model)
    pipeline.set_progress_bar_config(disable=True)
    defaults = pipeline.omni_config.generation
    given = {"size": defaults.height, "num_frames": defaults.num_frames, "seed": seed}
    given |= {name: value for name, value in plan.items() if value is not None}
    everything = () if asked or outside.vbench else run.PARTS
    chosen = run.Plan(parts=cast(Any, tuple(parts) or everything), **given)
    judged = [run.evaluate(pipeline, chosen)]
    judged += [run.judge_geneval(pipeline, chosen, *asked)] if asked else []
    records: list[run.Record] = []
    for record in chain.from_iterable(judged):
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
    if outside.vbench:
        from omnivideo.evaluation.vbench import export

        tell(f"making videos for VBench in {outside.vbench}")
        report["vbench"] = {
            "folder": outside.vbench,
            "videos": export(pipeline, chosen, outside.vbench, told),
        }
    return write(report, render_page(report, records), out)


def _geneval(outside: Outside) -> tuple[list[dict[str, Any]], Any] | None:
    """GenEval's prompts and models, looked at before anything is generated; None without."""
    if not outside.geneval:
        return None
    from omnivideo.evaluation.geneval import GenEval, read_prompts

    claims = read_prompts(outside.geneval)
    if not outside.detector or not outside.clip:
        what = "GenEval needs its two models"
        raise InputError(what, "evaluate", "Give --detector (Mask2Former) and --clip, folders of weights")
    import torch

    judge = GenEval(outside.detector, outside.clip, "cuda" if torch.cuda.is_available() else "cpu")
    judge.check(claims)
    return claims, judge


def _lines(path: str) -> list[str]:
    if not Path(path).is_file():
        raise InputError(f"there is no prompt file {path}", "evaluate", "Give a text file, a prompt a line")
    return [line.strip() for line in Path(path).read_text(encoding="utf-8").splitlines() if line.strip()]


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
