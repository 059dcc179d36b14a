"""What a flow hands a job: plain JSON made from a recipe."""

from __future__ import annotations

import hashlib
import json
import secrets
import time
from pathlib import Path
from typing import Any

from pipelines.recipe import Recipe


def new_run_id() -> str:
    """Return an id that sorts by time: `20261122-070312-9f3a`."""
    return f"{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}-{secrets.token_hex(2)}"


def in_folder_of_its_own(request: dict[str, Any], root: str, version: int) -> dict[str, Any]:
    """Return a training's request for a dataset's version, with a run folder below `root` named after both.

    The same work, asked for again, thus finds its folder: it attaches to what runs there, goes on with what
    was stopped, and is done at once if it is done. Where it runs, and who asked, is not part of the name.
    """
    asked = {part: request[part] for part in ("model", "backbones", "mix", "stages", "data", "only_stage")}
    digest = hashlib.sha256(json.dumps(asked, sort_keys=True, default=str).encode()).hexdigest()[:8]
    return {**request, "version": version, "out": f"{root}/v{version}-{digest}"}


def absolute(location: str) -> str:
    """Return a path made absolute; a URL as it is."""
    return location if "://" in location else str(Path(location).expanduser().absolute())


def curate(
    recipe: Recipe,
    out: str,
    run_id: str,
    limit: int | None = None,
    fresh: bool = False,
    score_all: bool = False,
) -> dict[str, Any]:
    """Return the curation job's request."""
    document = recipe.model_dump(mode="json", exclude_none=True)
    parts = ("sources", "split", "filters", "dedup", "edits", "caption", "shards")
    return {
        **{part: document[part] for part in parts},
        "cluster": document.get("cluster", {}),
        "out": absolute(out),
        "limit": limit,
        "fresh": fresh,
        "score_all": score_all,
        "recipe": document,
        "run_id": run_id,
    }


def evaluate(recipe: Recipe, model: str, out: str, run_id: str) -> dict[str, Any]:
    """Return the evaluation job's request."""
    asked = recipe.evaluation.model_dump(mode="json", exclude_none=True)
    return {**asked, "model": absolute(model), "out": absolute(out), "run_id": run_id}


def train(
    recipe: Recipe,
    data: str,
    out: str,
    run_id: str,
    version: int | None = None,
    only_stage: str | None = None,
    encoded: str | None = None,
) -> dict[str, Any]:
    """Return the training job's request; `encoded` takes the place of the recipe's folder of encoded shards.

    Encoding takes the same: its `out` is a run whose model to ask, or empty.
    """
    document = recipe.model_dump(mode="json", exclude_none=True)
    parts = ("model", "backbones", "mix", "stages", "cluster")
    folder = encoded or document["mix"].get("encoded", {}).get("folder")
    if folder:
        document["mix"]["encoded"] = {**document["mix"].get("encoded", {}), "folder": absolute(folder)}
    return {
        **{part: document.get(part) for part in parts},
        "data": absolute(data),
        "version": version,
        "out": absolute(out) if out else "",
        "only_stage": only_stage,
        "recipe": document,
        "run_id": run_id,
    }
