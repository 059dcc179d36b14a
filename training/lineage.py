"""Where a run comes from: dataset version, recipe, code. Written first, checked when the run is resumed."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from omnivideo.errors import InputError
from training.checkpoints.atomic import write_json
from training.config import TrainRequest
from training.run import Run
from training.stages import STAGES, StageName

IDENTITY = ("data", "model", "mix", "stages", "backbones")


def identity(request: TrainRequest) -> dict[str, Any]:
    """Return what makes two requests the same run. How many workers do the work is not part of it."""
    fields: dict[str, Any] = request.model_dump(mode="json", include=set(IDENTITY))
    if request.mix.encoded is not None:  # where shards lie changes nothing, what is in them might
        fields["mix"]["encoded"] = {"dtype": request.mix.encoded.dtype}
    if "://" not in request.data:
        fields["data"] = str(Path(request.data).resolve())
    return fields


def sha256(value: Any) -> str:
    """Return the SHA-256 of a value's canonical JSON."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()


def pinned_version(run: Run, request: TrainRequest) -> int | None:
    """Return the dataset version that the run in its folder was started with, None for a new run.

    Raises InputError if the folder holds a run of another recipe, dataset or version.
    """
    path = run.root / "lineage.json"
    if not path.exists():
        return None
    lineage = json.loads(path.read_text())
    changed = _changed(lineage["request"], identity(request))
    version: int = lineage["dataset"]["version"]
    if request.version not in {None, version}:
        changed.append(f"version ({version} then)")
    if changed:
        raise InputError(
            f"{run.root} holds a run with other settings: {', '.join(changed)}",
            "train",
            "give another --out, or the recipe and dataset that the run was started with",
        )
    return version


def write(run: Run, request: TrainRequest, version: int, dataset: dict[str, Any]) -> None:
    """Write recipe.json and lineage.json; `dataset` is the lineage of the dataset version itself."""
    write_json(run.root / "recipe.json", request.recipe)
    write_json(
        run.root / "lineage.json",
        {
            "run_id": request.run_id,
            "dataset": {"uri": request.data, "version": version, **dataset},
            "recipe": request.recipe,
            "recipe_sha256": sha256(request.recipe),
            "request": identity(request),
            "code_version": code_version(),
        },
    )


def of_model(run: Run, stage: StageName, phases: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the lineage of the model after `stage`: the run's own, and every phase trained so far."""
    path = run.root / "lineage.json"
    whole: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    records = [record for name in STAGES[: STAGES.index(stage)] if (record := run.record(name))]
    earlier = [phase for record in records for phase in record["phases"]]
    return {**whole, "stages": [*earlier, *phases]}


def code_version() -> str:
    """Return the package's version and, in a checkout, its commit."""
    version = importlib.metadata.version("omnivideo")
    git = ["git", "-C", str(Path(__file__).parent), "rev-parse", "--short", "HEAD"]
    try:
        commit = subprocess.run(git, capture_output=True, text=True, timeout=10, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return version
    return f"{version}+{commit}"


def _changed(before: Any, now: Any, path: str = "") -> list[str]:
    if isinstance(before, dict) and isinstance(now, dict):
        keys = sorted(before.keys() | now.keys())
        return [line for key in keys for line in _changed(before.get(key), now.get(key), f"{path}.{key}")]
    return [] if before == now else [path.lstrip(".")]
