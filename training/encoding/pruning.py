"""Encoded shards that nothing asks for: of samples that no dataset version has, or by other encoders.

A shard goes whole or not at all, and only on request: another recipe may still train from it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Any, NamedTuple, get_args

from training.config import EncodedSection, TrainRequest
from training.encoding.identity import Identity, identify, of_origin
from training.encoding.shards import Shards
from training.encoding.values import Name
from training.run import Run
from training.stages import STAGES


class Stale(NamedTuple):
    """A shard to prune, its size, and why."""

    shard: str
    bytes: int
    why: str


def prune(request: TrainRequest, section: EncodedSection, remove: bool) -> list[Stale]:
    """Return what is stale for every version of the request's dataset and all models of its run, if any.

    With `remove`, delete it. Raises InputError for a dataset, model or shard that is not as it should be.
    """
    shards = Shards(section.folder)
    found = list(stale(shards, _identities(request), _samples(request.data)))
    for entry in found if remove else ():
        shards.remove(entry.shard)
    return found


def stale(shards: Shards, identities: Sequence[Identity], samples: AbstractSet[str]) -> Iterator[Stale]:
    """Yield shards in which no value is both by one of `identities` and of one of `samples`, or of words."""
    encoders = {(name, one.encoder(name)) for name in get_args(Name) for one in identities}
    for shard, rows in shards.by_shard():
        ours = [row for row in rows if (row["name"], row["encoder"]) in encoders]
        if not ours:
            yield Stale(shard, shards.size(shard), "by other encoders")
        elif not any(row["sample_id"] is None or row["sample_id"] in samples for row in ours):
            yield Stale(shard, shards.size(shard), "of samples that no version has")


def _identities(request: TrainRequest) -> list[Identity]:
    """Return those of the model that the recipe starts from, and of the run's models so far."""
    run = Run(Path(request.out).resolve())
    models = [run.init, *(run.stage_model(stage) for stage in STAGES)] if request.out else []
    return [of_origin(request.model), *(identify(model) for model in models if model.exists())]


def _samples(data: str) -> set[str]:
    from curation.dataset import open_dataset

    versions = [commit["version"] for commit in open_dataset(data).history()]
    rows: list[dict[str, Any]] = []
    for version in versions:
        rows += open_dataset(data, version).table(("sample_id",), where="verdict = 'kept'").to_pylist()
    return {row["sample_id"] for row in rows}
