"""What a run will make and take, from a sample of its inputs that is judged and cut for the purpose.

Duplicates are not looked for, captions by a model are not asked for, and nothing that an earlier version has
is reused: a forecast is of a first run, start-up apart.
"""

from __future__ import annotations

import os
import random
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from curation.config import CurateRequest
from curation.errors import InputError
from curation.media.records import ScanRequest
from curation.sources import DatasetSource, Item, list_items
from curation.sources.datasets import reader_of
from curation.sources.members import parse_record
from curation.steps.cuts import CUT
from curation.steps.cutter import Cutter, Take
from curation.steps.judge import JUDGED, Judge
from curation.steps.ordering import foresee
from curation.store.commits import newest
from curation.store.publish import existing
from curation.store.staging import Staging

SEED = 0
DRAWS = 400  # of the bootstrap (Efron 1979)
RANGE = (0.05, 0.95)  # of the draws
COUNTS = ("clips", "kept", "rejected", "error")  # grow with the number of inputs, what follows with bytes
SIZES = ("hours", "bytes", "seconds")
Seen = dict[str, float]


def forecast(request: CurateRequest, sample: int = 20) -> dict[str, Any]:
    """Counts, hours and bytes of what is kept, and wall time on this machine's cores, each with a range.

    A dataset that is not there is listed as missing, and the others are forecast. Raises InputError if a
    filter's model is missing, and one that names every other source that cannot be read.
    """
    for rule in request.rules():
        rule.check()
    listed = sources(request)
    there = [one for one, told in zip(request.sources, listed, strict=True) if "missing" not in told]
    items = list_items(there, request.out, request.limit)
    if not items:
        return _of_nothing(request, listed)
    chosen = items if len(items) <= sample else random.Random(SEED).sample(items, sample)
    with tempfile.TemporaryDirectory(prefix="omnivideo-plan-") as folder:
        order = foresee(request, chosen, _published(request))
        seen = _look(request, order.names, chosen, Path(folder))
    cores = os.cpu_count() or 1
    found = estimate([(item.size, one) for item, one in zip(chosen, seen, strict=True)], items)
    found["seconds"] = {end: round(value / cores, 1) for end, value in found["seconds"].items()}
    return {
        "inputs": len(items),
        "bytes_in": sum(item.size for item in items),
        "sources": listed,
        "sample": len(chosen),
        "cores": cores,
        "recipe_sha256": request.recipe_sha256(),
        "cascade": order.as_json(),
        "forecast": found,
    }


def _of_nothing(request: CurateRequest, listed: list[dict[str, Any]]) -> dict[str, Any]:
    """A forecast where no source is there."""
    told = {"inputs": 0, "bytes_in": 0, "sources": listed, "sample": 0, "cores": os.cpu_count() or 1}
    rest: dict[str, Any] = {"cascade": {"order": [], "figures": {}}, "forecast": {}}
    return {**told, "recipe_sha256": request.recipe_sha256(), **rest}


def sources(request: CurateRequest) -> list[dict[str, Any]]:
    """Each source with its number of inputs and their bytes; a dataset with its task, or as missing.

    Raises InputError that names all other sources that cannot be read; of a single one it is that of a run.
    """
    found: list[dict[str, Any]] = []
    bad: list[InputError] = []
    for source in request.sources:
        told: dict[str, Any] = {"source": source.where()}
        if isinstance(source, DatasetSource):
            task = reader_of(source.dataset).task
            told |= {"dataset": source.dataset, **({"task": task} if task else {})}
        try:
            items = list_items([source], request.out)
        except InputError as error:
            if isinstance(source, DatasetSource):
                found.append({**told, "inputs": 0, "bytes": 0, "missing": error.what})
            else:
                bad.append(error)
            continue
        found.append({**told, "inputs": len(items), "bytes": sum(item.size for item in items)})
    if bad:
        what = "; ".join(error.what for error in bad)
        raise InputError(what, bad[0].step, "; ".join(dict.fromkeys(error.next_step for error in bad)))
    return found


def estimate(seen: Sequence[tuple[int, Seen]], items: Sequence[Item]) -> dict[str, dict[str, float]]:
    """Totals over all `items`, from some of them with their sizes in bytes; low and high of a bootstrap."""
    dice = random.Random(SEED)
    whole = len(seen) == len(items)
    draws = [dice.choices(seen, k=len(seen)) for _ in range(1 if whole else DRAWS)]
    found = {}
    for name in (*COUNTS, *SIZES):
        expected = _total(name, seen, items)
        totals = [expected] if whole else sorted(_total(name, draw, items) for draw in draws)
        low, high = (totals[int(end * (len(totals) - 1))] for end in RANGE)
        found[name] = {"low": min(low, expected), "expected": expected, "high": max(high, expected)}
    return found


def _total(name: str, seen: Sequence[tuple[int, Seen]], items: Sequence[Item]) -> float:
    known = sum(size for size, _ in seen)
    by_size = name in SIZES and known > 0
    share = sum(item.size for item in items) / known if by_size else len(items) / len(seen)
    return round(share * sum(one[name] for _, one in seen), 3)


def _published(request: CurateRequest) -> Mapping[str, Any] | None:
    """What the dataset's newest commit has measured of its filters."""
    base = existing(request.out)
    return newest(base.history()).get("cascade") if base else None


def _look(request: CurateRequest, order: tuple[str, ...], items: Sequence[Item], folder: Path) -> list[Seen]:
    staging = Staging(str(folder / "dataset"), request.recipe_sha256())
    scan = ScanRequest(request.split, request.rules(), request.score_all, order=order)
    judge = Judge(staging, scan.to_json(), None, request.edits)
    cutter = Cutter(staging, request.caption, request.filters)
    warm = _picture(folder / "warm.png")
    look = _looking(staging, judge, cutter)
    look(warm, True)
    return [look(item, False) for item in items]


def _looking(staging: Staging, judge: Judge, cutter: Cutter) -> Callable[[Item, bool], Seen]:
    """Judges and cuts one input; `everything`: cut what is rejected, too, which starts what cutting needs."""

    def look(item: Item, everything: bool) -> Seen:
        began = time.perf_counter()
        sha256 = judge(item)["sha256"]
        tables = staging.read(JUDGED, [sha256] if sha256 else [])
        rows = [row for table in tables for row in table.to_pylist()]
        cut = ("kept", "rejected") if everything else ("kept",)
        kept = [row for row in rows if row["verdict"] in cut]
        if kept and parse_record(item.uri) is None:  # a record's media is at hand when it is judged
            cutter(Take(item.uri, str(sha256), [row["sample_id"] for row in kept]))
        taken = time.perf_counter() - began
        sizes = staging.names(CUT)
        return {
            "clips": max(1, len(rows)),
            "kept": len(kept),
            "rejected": sum(row["verdict"] == "rejected" for row in rows),
            "error": sum(row["verdict"] == "error" for row in rows) if rows else 1,
            "hours": sum((row["end_s"] or 0.0) - (row["start_s"] or 0.0) for row in kept) / 3600,
            "bytes": sum(sizes.get(row["sample_id"], 0) for row in kept),
            "seconds": taken,
        }

    return look


def _picture(path: Path) -> Item:
    """A small picture, to have everything loaded before time counts."""
    from PIL import Image

    Image.linear_gradient("L").convert("RGB").save(path)
    return Item(str(path), "warm", None, path.stat().st_size)


def beside(
    told: Mapping[str, Any], actual: Mapping[str, Any]
) -> list[tuple[str, Mapping[str, float], float]]:
    """Forecasts of a result of `curate` beside what came, by name; empty if they are not of the same run."""
    if actual.get("reused") or not actual.get("published") or told["inputs"] != actual["funnel"]["inputs"]:
        return []
    funnel = actual["funnel"]
    came = {"clips": funnel["clips"], "kept": funnel["kept"] + funnel["duplicate"], "error": funnel["error"]}
    came["seconds"] = actual["seconds"]
    return [(name, told["forecast"][name], value) for name, value in came.items()]
