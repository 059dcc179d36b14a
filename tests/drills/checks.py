"""What must hold after a run that was killed again and again: nothing lost, nothing doubled."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

from curation.dataset import open_dataset

Rows = dict[str, tuple[Any, ...]]


def rows(dataset: str) -> list[tuple[str, tuple[Any, ...]]]:
    """Id and fate of each row."""
    columns = ["sample_id", "uri", "verdict", "filter", "reason"]
    found = open_dataset(dataset).iter_rows(columns)
    return [(row.pop("sample_id"), (Path(row.pop("uri")).name, *row.values())) for row in found]


def compare(found: list[tuple[str, tuple[Any, ...]]], expected: Rows) -> dict[str, int]:
    """How many rows are lost, doubled, or decided otherwise than expected."""
    counts = Counter(one for one, _ in found)
    return {
        "rows": len(found),
        "lost": len(expected.keys() - counts.keys()),
        "doubled": sum(count - 1 for count in counts.values()),
        "other": sum(expected.get(one) != fate for one, fate in found),
    }


def orphans(dataset: str) -> int:
    """Files in a dataset's folder that are in no version, and leases that nobody holds."""
    root = Path(dataset)
    versions = {path for uri in open_dataset(dataset).delta.file_uris() for path in [str(Path(uri))]}
    files = {str(path) for path in root.rglob("*") if path.is_file() and "_delta_log" not in path.parts}
    return len(files - versions - {str(root / "_seen.parquet")})


def losses(run: str) -> list[tuple[tuple[str, int], float]]:
    """Phase, number and loss of each training step in the run's log."""
    lines = (Path(run) / "metrics.jsonl").read_text().splitlines()
    told = [json.loads(line) for line in lines]
    return [((one["phase"], one["step"]), one["loss"]) for one in told if one["kind"] == "step"]


def weights(run: str) -> dict[str, bytes]:
    """The bytes of each file of weights of a finished run's model."""
    model = Path(run) / "model"
    return {str(path.relative_to(model)): path.read_bytes() for path in model.rglob("*.safetensors")}


def compare_training(run: str, expected: str) -> dict[str, Any]:
    """Steps lost and doubled, the largest difference of a step's loss, and files of weights that differ."""
    found, whole = losses(run), dict(losses(expected))
    counts, mine, theirs = Counter(step for step, _ in found), weights(run), weights(expected)
    assert theirs
    return {
        "steps": len(found),
        "lost": len(whole.keys() - counts.keys()),
        "doubled": sum(count - 1 for count in counts.values()),
        "losses differ by": max(abs(loss - whole[step]) for step, loss in found if step in whole),
        "other weights": sum(mine.get(name) != theirs.get(name) for name in mine.keys() | theirs.keys()),
    }
