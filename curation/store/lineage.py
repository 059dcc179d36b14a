"""What a version remembers of how it was made."""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from curation import caption
from curation.config import CurateRequest
from curation.dataset import Funnel


def lineage(request: CurateRequest, hashes: Iterable[str], funnel: Funnel) -> dict[str, Any]:
    """The commit's metadata (DESIGN: dataset contract); `hashes` are those of all inputs of the run."""
    known = sorted(hashes)
    snapshot = hashlib.sha256("\n".join(known).encode()).hexdigest()
    return {
        "recipe": request.recipe or request.model_dump(mode="json", exclude={"recipe", "run_id", "out"}),
        "recipe_sha256": request.recipe_sha256(),
        "measured": request.measured(),
        "code_version": code_version(),
        "input_snapshot": {"sha256": snapshot, "inputs": len(known)},
        "model_revisions": model_revisions(request),
        "run_id": request.run_id,
        "funnel": funnel.as_json(),
    }


def model_revisions(request: CurateRequest) -> dict[str, str]:
    """Which model, at which revision, stands behind captions and scores."""
    captioner = caption.signature(request.caption)
    found = {"captioner": captioner} if captioner else {}
    cutter = request.split.revision()
    if cutter:
        found["split"] = cutter
    for rule in request.rules():
        revision = rule.revision()
        if revision:
            found[rule.name()] = revision
    return found


@functools.cache
def code_version() -> str:
    """The package's version and a hash of this package's sources."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.rglob("*.py")):
        digest.update(path.read_bytes())
    return f"{importlib.metadata.version('omnivideo')}+{digest.hexdigest()[:12]}"
