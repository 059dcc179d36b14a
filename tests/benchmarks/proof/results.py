"""What a proof came to: its scores, losses and times gathered, summed up and told as a table."""

from __future__ import annotations

import json
import shutil
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.benchmarks.proof.steps import states
from training.run import entries

Figures = Mapping[str, Any]
ROWS: tuple[tuple[str, str, str, tuple[str, ...]], ...] = (
    ("questions before stage 1, images", "before", "image_questions", ("accuracy",)),
    ("questions before stage 1, videos", "before", "video_questions", ("accuracy",)),
    ("after stage 1, images", "after-stage-1", "image_questions", ("accuracy",)),
    ("after stage 1, videos", "after-stage-1", "video_questions", ("accuracy",)),
    ("images after stage 2 (1 sample)", "after-stage-2", "image", ("overall",)),
    ("images", "final", "image", ("overall",)),
    *(
        (f"images: {tag}", "final", "image", ("groups", tag, "score"))
        for tag in ("single_object", "two_object", "counting", "colors", "position", "color_attr")
    ),
    ("images, never shown together", "final", "image", ("held_out", "score")),
    ("videos", "final", "video", ("overall",)),
    ("motion direction", "final", "video", ("groups", "motion", "score")),
    ("image edits done", "final", "image_edit", ("done",)),
    ("image edits, dB outside", "final", "image_edit", ("outside_psnr",)),
    ("video edits done", "final", "video_edit", ("done",)),
    ("video edits, dB outside", "final", "video_edit", ("outside_psnr",)),
    ("think mode, gain", "final", "think", ("gain",)),
    ("questions at the end, images", "final", "image_questions", ("accuracy",)),
    ("questions at the end, videos", "final", "video_questions", ("accuracy",)),
)
"""What is told of a seed: where it was judged, the part, and where its figure stands."""
ABLATED = (("image", ("image", "overall")), ("image_edit", ("image_edit", "done")))


def gather(out: Path) -> dict[str, Any]:
    """Copy logs of losses and records to `results`, write `summary.json` there and return it."""
    results, summary = out / "results", {"seeds": {}, "ablations": {}}  # type: ignore[var-annotated]
    for run in [*sorted(out.glob("seed-*")), *sorted(out.glob("ablations/*"))]:
        kept = results / "runs" / run.name
        kept.mkdir(parents=True, exist_ok=True)
        for path in (run / "metrics.jsonl", run / "backbones/metrics.jsonl", *run.glob("backbones/*.json")):
            if path.exists() and not path.parent.is_symlink():
                shutil.copy(path, kept / "-".join(path.relative_to(run).parts))
    for seed in sorted(out.glob("seed-*")):
        summary["seeds"][seed.name] = {
            "backbones": {path.stem: read(path) for path in sorted(seed.glob("backbones/*.json"))},
            "phases": phases(seed / "metrics.jsonl"),
            **{place.name: scores(place) for place in sorted((results / "scores" / seed.name).glob("*"))},
        }
    for run in sorted(results.glob("scores/ablations/*")):
        summary["ablations"][run.name] = scores(run)
    summary["steps"] = entries(states(out))
    (results / "summary.json").write_text(json.dumps(summary, indent=1))
    (results / "summary.txt").write_text(table(summary))
    return summary


def scores(folder: Path) -> dict[str, Any]:
    """All parts judged into a folder."""
    paths = [path for path in folder.glob("*.json") if not path.stem.endswith("-samples")]
    return {part: figures for path in sorted(paths) for part, figures in read(path).items()}


def phases(log: Path) -> dict[str, dict[str, Any]]:
    """Of each phase of a run's log: steps, their seconds, and the probe's losses before and after."""
    found: dict[str, dict[str, Any]] = {}
    for entry in entries(log):
        phase = found.setdefault(entry["phase"], {"steps": 0, "seconds": 0.0, "probes": []})
        if entry["kind"] == "step":
            phase["steps"] += 1
            phase["seconds"] += entry.get("seconds") or 0.0
        elif entry["kind"] == "probe":
            phase["probes"].append(entry["loss"])
    return found


def table(summary: Figures) -> str:
    """The summary in lines: a column a seed, then backbones, phases, ablations, and what failed."""
    seeds = summary["seeds"]
    lines = [f"{'':34}" + "".join(f"{name:>10}" for name in seeds)]
    for what, place, part, path in ROWS:
        told = [told_of(seed.get(place, {}), (part, *path)) for seed in seeds.values()]
        lines.append(f"{what:34}" + "".join(f"{figure:>10}" for figure in told))
    for name, seed in seeds.items():
        for lesson, record in seed["backbones"].items():
            report = " ".join(f"{key} {value:.3f}" for key, value in record.get("report", {}).items())
            lines.append(f"{name} {lesson}: {record['steps']} steps, {report}")
        for phase, did in seed["phases"].items():
            probes = " → ".join(f"{loss:.3f}" for loss in did["probes"] if loss is not None)
            lines.append(f"{name} {phase}: {did['steps']} steps in {did['seconds']:.0f} s, loss {probes}")
    for name, ablation in summary["ablations"].items():
        told = [f"{what} {told_of(ablation, path)}" for what, path in ABLATED]
        lines.append(f"ablation {name}: {', '.join(told)}")
    lines += [
        f"{one['state'].upper()} {one['step']} after {one['seconds']} s {one.get('why', '')}"
        for one in summary["steps"]
        if one["state"] in {"failed", "skipped"}
    ]
    reached = [f"{one['step']} after {one['seconds']:.0f} s" for one in summary["steps"] if milestone(one)]
    return "\n".join([*lines, *reached]) + "\n"


def milestone(entry: Figures) -> bool:
    """Tell whether it is when everything was judged, or done."""
    return entry["state"] == "done" and entry["step"] in {"judged", "done"}


def told_of(figures: Any, path: Sequence[str]) -> str:
    """The figure that stands at a path, a dash where there is none."""
    for key in path:
        figures = figures.get(key) if isinstance(figures, Mapping) else None
    return "–" if figures is None else f"{figures:.3f}"


def read(path: Path) -> dict[str, Any]:
    """A JSON file."""
    document: dict[str, Any] = json.loads(path.read_text())
    return document


def pack(out: Path, folder: Path, model_megabytes: float) -> None:
    """Bring an archive of the results, and of the first seed's final model as bf16 if it is small."""
    folder.mkdir(parents=True, exist_ok=True)
    results = out / "results"
    with tarfile.open(folder / "results.tar.gz", "w:gz") as archive:
        archive.add(results, "results")
    for name in ("summary.json", "summary.txt"):
        if (results / name).exists():
            shutil.copy(results / name, folder)
    models = sorted(out.glob("seed-*/stage-3/model"))
    if not models:
        return
    bf16 = sum(path.stat().st_size for path in models[0].rglob("*.safetensors")) / 2
    if bf16 < model_megabytes * 1e6:
        with tarfile.open(folder / "model-bf16.tar.gz", "w:gz") as archive:
            archive.add(halved(models[0], out / "model-bf16"), "model")
    else:
        print(f"{models[0]} stays: {bf16 / 1e6:.1f} MB in bf16, over {model_megabytes:g}", flush=True)


def halved(model: Path, folder: Path) -> Path:
    """Copy a model, its floating weights as bf16."""
    import torch
    from safetensors.torch import load_file, save_file

    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(model, folder)
    for path in folder.rglob("*.safetensors"):
        weights = {
            name: weight.to(torch.bfloat16) if weight.is_floating_point() else weight
            for name, weight in load_file(path).items()
        }
        save_file(weights, path, {"format": "pt"})
    return folder
