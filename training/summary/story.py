"""What a run's folder tells, gathered for its page: phases from the log, models, checkpoints, lineage."""

from __future__ import annotations

import itertools
import json
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from training.checkpoints import checkpoint as checkpoints
from training.run import Run, entries
from training.stages import PHASES, STAGES, Phase

Entry = Mapping[str, Any]
Points = list[tuple[int, float]]
CLIPS_SHOWN = 4  # of a phase: the first and the newest; all of them lie in the run's folder


def gather(run: Run) -> dict[str, Any]:
    """Return all that the page shows, as plain data."""
    log = entries(run.metrics)
    phases = [
        _phase(phase, mine) for phase in PHASES if (mine := [e for e in log if e["phase"] == phase.name])
    ]
    records = {stage: record for stage in STAGES if (record := run.record(stage))}
    return {
        "name": run.root.name,
        "folder": str(run.root),
        "phases": phases,
        "parts": _parts(phases),
        "stages": [_stage(stage, record) for stage, record in records.items()],
        "checkpoints": _checkpoints(run.checkpoints),
        "lineage": _read(run.root / "lineage.json"),
        "model": str(run.model) if run.model.exists() else None,
    }


def _phase(phase: Phase, log: Sequence[Entry]) -> dict[str, Any]:
    steps = [e for e in log if e["kind"] == "step"]
    probes = [e["loss"] for e in log if e["kind"] == "probe"]
    first = next((e for e in log if "parameters" in e), {})
    done = max((e["step"] for e in log if e["kind"] in {"step", "skipped"}), default=0)
    return {
        "name": phase.name,
        "trains": phase.trainable,
        "steps": log[0]["steps"],
        "done": done,
        "finished": len(probes) > 1,
        "probes": (probes[0] if probes else None, probes[-1] if len(probes) > 1 else None),
        "parameters": first.get("parameters", {}),
        "samples": first.get("samples", {}),
        "too_short": first.get("too_short", 0),
        "device": first.get("device", {}),
        "sub_stages": _changes(steps),
        "skipped": [e for e in log if e["kind"] == "skipped"],
        "clips": _clips([e for e in log if e["kind"] == "clips"]),
        "figures": _figures(steps),
        "curves": _curves(log, steps),
    }


def _curves(log: Sequence[Entry], steps: Sequence[Entry]) -> dict[str, dict[str, Points]]:
    held_out = [e for e in log if e["kind"] == "held_out"]
    times = sorted({time for e in held_out for time in e.get("times", {})})
    groups = ("tasks", "quartiles")
    names = {group: sorted({name for e in steps for name in e.get(group, {})}) for group in groups}
    return {
        "loss": {"training": _points(steps, "loss"), "held out": _points(held_out, "loss")},
        **{group: {name: _points(steps, group, name) for name in names[group]} for group in groups},
        "times": {f"t = {time}": _points(held_out, "times", time) for time in times},
        "gradient norm": {"gradient norm": _points(steps, "grad_norm")},
    }


def _points(log: Sequence[Entry], *path: str) -> Points:
    found = []
    for entry in log:
        value: Any = entry
        for key in path:
            value = value.get(key) if isinstance(value, Mapping) else None
        if isinstance(value, int | float):
            found.append((int(entry["step"]), float(value)))
    return found


def _figures(steps: Sequence[Entry]) -> dict[str, float]:
    """Return medians over steps; waiting is a share of all their time together."""
    seconds = sum(e["seconds"] for e in steps)
    if not seconds:
        return {}
    waited = sum(e["data_wait"] * e["seconds"] for e in steps)
    medians = {
        name: statistics.median(values)
        for name in ("seconds", "tokens_per_second", "mfu")
        if (values := [e[name] for e in steps if name in e])
    }
    memory = max((e.get("memory_gib", 0.0) for e in steps), default=0.0)
    return {**medians, "data_wait": waited / seconds, "memory_gib": memory, "whole_seconds": seconds}


def _changes(steps: Sequence[Entry]) -> list[int]:
    """Return the steps after which another sub-stage began."""
    pairs = itertools.pairwise(steps)
    return [before["step"] for before, after in pairs if before["sub_stage"] != after["sub_stage"]]


def _clips(made: Sequence[Entry]) -> list[dict[str, Any]]:
    shown = made if len(made) <= CLIPS_SHOWN else [made[0], *made[-CLIPS_SHOWN + 1 :]]
    return [{"step": e["step"], "clips": e["clips"]} for e in shown]


def _parts(phases: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return each part's size, and in which phases it trains."""
    counts: dict[str, int] = next((p["parameters"] for p in phases if p["parameters"]), {})
    return [
        {"name": name, "count": count, "trains": [name in phase["trains"] for phase in phases]}
        for name, count in counts.items()
    ]


def _stage(stage: str, record: Mapping[str, Any]) -> dict[str, Any]:
    same = [name for name, digest in record["before"].items() if record["after"][name] == digest]
    return {"name": stage, "seconds": record["seconds"], "trained": record["trained"], "unchanged": same}


def _checkpoints(root: Path) -> list[dict[str, Any]]:
    found = [c for folder in root.glob("*") if (c := checkpoints.read(folder))]
    found.sort(key=lambda c: (c.folder / checkpoints.MANIFEST).stat().st_mtime_ns)
    return [
        {
            "folder": c.folder.name,
            "phase": c.manifest.phase,
            "step": c.manifest.step,
            "shards": len(c.manifest.files),
            "bytes": sum(path.stat().st_size for path in c.folder.iterdir()),
        }
        for c in found
    ]


def _read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    return found
