from __future__ import annotations

from pathlib import Path

import torch

from training.data.samples import Bucket, View
from training.encoding.identity import PARTS, SETTINGS, Identity
from training.encoding.pruning import Stale, stale
from training.encoding.shards import Shards, describe, packed
from training.encoding.values import Value


def identity(weights: str) -> Identity:
    """Of a model whose parts all have this hash."""
    parts = {part for parts in PARTS.values() for part in parts}
    paths = {path for paths in SETTINGS.values() for path in paths}
    return Identity(dict.fromkeys(parts, weights), dict.fromkeys(paths, 0))


def write(shards: Shards, sample: str | None, model: Identity) -> str:
    """Write a shard of one value; return its name."""
    view = sample and View(sample, "text_to_image", Bucket("image", 64, 64, 1), 0.0)
    value = Value("latents", view) if view else Value("text", None, ("words",))
    before = set(shards.names())
    columns = describe(value, model.encoder(value.name), "float32")
    shards.write([{**columns, **packed(torch.ones(2), "float32")}])
    return (set(shards.names()) - before).pop()


def test_shards_that_nothing_asks_for_are_found(tmp_path: Path) -> None:
    """By another model, or of samples that are in no version; values of words stay with their encoder."""
    shards, ours, other = Shards(str(tmp_path)), identity("a"), identity("b")
    kept = [write(shards, "kept", ours), write(shards, None, ours)]
    gone, foreign = write(shards, "gone", ours), write(shards, "kept", other)
    found = {entry.shard: entry for entry in stale(shards, [ours], {"kept"})}
    assert set(found) == {gone, foreign}
    assert found[gone].why == "of samples that no version has"
    assert found[foreign] == Stale(foreign, shards.size(foreign), "by other encoders")
    assert found[gone].bytes > 0
    for name in found:
        shards.remove(name)
    assert shards.names() == sorted(kept)
    assert list(stale(shards, [ours, other], {"kept"})) == []
