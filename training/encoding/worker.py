"""What one encoding worker does: some values in, one shard out."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from itertools import islice
from typing import Any, NamedTuple

from torch import Tensor

from curation.dataset import open_dataset
from omnivideo.config import OmniVideoConfig
from training.config import TrainRequest
from training.data.loader import Loader
from training.data.samples import Bucket, View
from training.encoding.encoders import SHOWN, Encoders
from training.encoding.identity import Identity
from training.encoding.shards import TYPES, Shards, describe, packed, stored_type
from training.encoding.values import Value
from training.model.origin import configuration
from training.model.precision import halve_language_model

AHEAD = 4  # samples decoded while frozen parts see the one before
MOST_ROWS = 4096  # of a shard: each row has a place in its footer
USED = ("mllm", "vision_tower", "vision_head", "vae", "text_encoder")
"""Parts that a worker puts on its device; the transformer stays behind."""
_WORDS_TOKENS = {"text": 128, "states": 64}  # of a usual caption, and answer


class Order(NamedTuple):
    """What workers are told: the request, whose model is the one to ask, and that model's identity."""

    request: TrainRequest
    identity: Identity


class Worker:
    """Encodes on one device; the model is loaded with the first piece of work."""

    def __init__(self, order: Order) -> None:
        self._order = order
        encoded = order.request.mix.encoded
        assert encoded is not None
        self._dtype, self._shards = encoded.dtype, Shards(encoded.folder)
        self._encoder = order.identity.encoder

    def __call__(self, piece: str) -> dict[str, int]:
        """Encode the values in `piece` (see `pieces`), write them as one shard; return counts and bytes."""
        rows = [self._row(value, tensor) for value, tensor in self._made(read(piece))]
        return {"values": len(rows), "bytes": self._shards.write(rows)}

    def _row(self, value: Value, tensor: Tensor) -> dict[str, Any]:
        columns = describe(value, self._encoder(value.name), self._dtype)
        return {**columns, **packed(tensor, stored_type(value, self._dtype))}

    def _made(self, values: Iterable[Value]) -> Iterator[tuple[Value, Tensor]]:
        by_view: dict[View | None, list[Value]] = {}
        for value in values:
            by_view.setdefault(value.view, []).append(value)
        ahead = iter([view for view in by_view if view is not None])
        loader = Loader(open_dataset(self._order.request.data, self._order.request.version))
        loader.prefetch(islice(ahead, AHEAD))
        try:
            for view, members in by_view.items():
                yield from self._of_view(view, members, loader)
                loader.prefetch(islice(ahead, 1))
        finally:
            loader.close()

    def _of_view(
        self, view: View | None, values: Sequence[Value], loader: Loader
    ) -> Iterator[tuple[Value, Tensor]]:
        names = {_behind(value) for value in values} - {""}
        seen = {} if view is None else self._encoders.look(view, loader.take(view), names)
        for value in values:
            if value.name == "text":
                yield value, self._encoders.text(*value.words)
            elif value.name == "states":
                question, answer = value.words
                yield value, self._encoders.states(question, answer, seen.get(SHOWN))
            elif value.name == "visual":
                kind, prompt = value.words
                yield value, self._encoders.visual(kind, prompt, seen.get("source_shown"))  # type: ignore[arg-type]
            else:
                yield value, seen[value.name]

    @cached_property
    def _encoders(self) -> Encoders:
        import torch

        from omnivideo.model import OmniVideoModel

        section, cluster = self._order.request.model, self._order.request.cluster
        torch.set_num_threads(cluster.cpus_per_worker)  # sums on a CPU depend on it, and training's are these
        if section.path is None:
            model = OmniVideoModel.build(configuration(section), section.seed)
        else:
            model = OmniVideoModel.from_pretrained(section.path)
        device = torch.device("cuda" if cluster.use_gpu else "cpu")
        halve_language_model(model, device)
        for part in USED:
            getattr(model, part).to(device)
        model.requires_grad_(False).eval()
        return Encoders(model, device)


def _behind(value: Value) -> str:
    """Return what a value needs of its media, if it has any."""
    if value.view is None:
        return ""
    return {"states": SHOWN, "visual": "source_shown"}.get(value.name, value.name)


def pieces(
    values: Iterable[Value], config: OmniVideoConfig, dtype: str, megabytes: int, least: int
) -> list[str]:
    """Divide values into pieces of work of about so many megabytes, at least `least` pieces if there are as
    many values. Values of one sample's media stay together: they are decoded once.
    """
    by_view: dict[object, list[Value]] = {}
    for value in values:
        by_view.setdefault(value.view or value, []).append(value)
    sizes = [(group, sum(_bytes(value, config, dtype) for value in group)) for group in by_view.values()]
    room = min(megabytes * 2**20, max(1, sum(size for _, size in sizes) // least))
    found: list[list[Value]] = [[]]
    used = 0
    for members, size in sizes:
        if found[-1] and (used + size > room or len(found[-1]) + len(members) > MOST_ROWS):
            found.append([])
            used = 0
        found[-1] += members
        used += size
    return [written(piece) for piece in found if piece]


def _bytes(value: Value, config: OmniVideoConfig, dtype: str) -> int:
    size, head = TYPES[dtype].itemsize, config.vision_head
    if value.name in _WORDS_TOKENS:
        width = config.text_encoder.d_model if value.name == "text" else config.mllm.hidden_size
        return _WORDS_TOKENS[value.name] * width * size
    if value.view is None or value.name in {"targets", "visual"}:
        return head.num_tokens("video") * head.target.hidden_size * size
    _, height, width, frames = value.view.bucket
    if value.name == "source_shown":
        return min(frames, config.mllm.max_frames) * 3 * height * width
    return 16 * ((frames - 1) // 4 + 1) * (height // 8) * (width // 8) * size


def written(values: Iterable[Value]) -> str:
    """Return values as JSON."""
    rows = []
    for value in values:
        view = value.view and [value.view.sample_id, value.view.task, [*value.view.bucket], value.view.fps]
        rows.append([value.name, view, value.words])
    return json.dumps(rows)


def read(piece: str) -> list[Value]:
    """Return the values that `written` wrote."""
    return [
        Value(name, view and View(view[0], view[1], Bucket(*view[2]), view[3]), tuple(words))
        for name, view, words in json.loads(piece)
    ]
