"""A forecast on file, beside the dataset that it is of, and as lines of text."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pipelines import mixing
from pipelines.progress import duration


def place(dataset: str) -> Path:
    """Return where the forecast of a local dataset lies: `<dataset>.forecast.json`."""
    return Path(f"{dataset.rstrip('/')}.forecast.json")


def write(dataset: str, told: dict[str, Any]) -> Path | None:
    """Write a forecast beside its dataset; a dataset at a URL has no place for it."""
    if "://" in dataset:
        return None
    path = place(dataset)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(told, indent=1))
    return path


def lines(told: Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines that show a forecast."""
    for one in told["sources"]:
        name = f"{one['dataset']} in {one['source']}" if "dataset" in one else one["source"]
        if "missing" in one:
            yield f"missing  {name}: {one['missing']}"
        else:
            yield f"source   {name}: {one['inputs']:,} inputs, {one['bytes'] / 1e6:,.1f} MB"
    yield from mixing.lines(told.get("mix", ()))
    if not told["inputs"]:
        yield "no source is there: nothing to forecast"
        return
    yield f"forecast of {told['inputs']:,} inputs, from {told['sample']:,} of them, on {told['cores']} cores"
    for name, found in told["forecast"].items():
        low, expected, high = (shown(name, found[end]) for end in ("low", "expected", "high"))
        yield f"  {name:<10} {expected:>14}  ({low} to {high})"
    yield from _order(told["cascade"])


def _order(cascade: Mapping[str, Any]) -> Iterator[str]:
    """Yield the filters as they will judge, with what each takes and rejects."""
    if cascade["order"]:
        yield "filters, first those that reject most for their time"
    for name in cascade["order"]:
        one = cascade["figures"][name]
        measured = (
            f"{one['rejects']:4.0%} of {one['clips']} clips rejected" if one["clips"] else "not measured"
        )
        yield f"  {name:<20} {one['seconds'] * 1000:>10.2f} ms a clip  {measured}"


def compared(request: Mapping[str, Any], result: Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines that show what was forecast of this run beside what came, if anything was."""
    from curation.config import CurateRequest
    from curation.questions.forecast import beside

    path = place(request["out"])
    if "://" in request["out"] or not path.is_file():
        return
    told = json.loads(path.read_text())
    if told.get("recipe_sha256") != CurateRequest.model_validate(request).recipe_sha256():
        return
    for name, found, came in beside(told, result):
        low, expected, high = (shown(name, found[end]) for end in ("low", "expected", "high"))
        label = {"kept": "kept, duplicates too", "seconds": "seconds, start-up too"}.get(name, name)
        yield f"  {label:<22} forecast {expected:>10} ({low} to {high}), actual {shown(name, came)}"


def shown(name: str, value: float) -> str:
    """Return a forecast's figure as a person says it."""
    if name == "seconds":
        return duration(value)
    if name == "bytes":
        return f"{value / 1e6:,.1f} MB"
    return f"{value:,.3g}" if name == "hours" else f"{value:,.0f}"
