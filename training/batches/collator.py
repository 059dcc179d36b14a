"""From the samples of a micro-batch to the sub-batches that go through the model.

What frozen parts say of a sample is asked for by name; whether it is made now, remembered or read from
encoded shards makes no difference to what is trained on.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

from omnivideo.config import TimeDistribution
from omnivideo.losses import UNLABELLED
from omnivideo.prompts import answer_ids
from training.batches import noise
from training.batches.batch_plan import Draw
from training.batches.padding import padded
from training.config import EDITING, UNDERSTANDING
from training.data.samples import Bucket, View, view_of
from training.encoding.encoders import Encoders
from training.encoding.values import Name, Value, marker, of_sample, question, visual
from training.model.trainee import SubBatch
from training.speed.transfer import sent
from training.stages import Objective, Phase

SIZE_720P = 720


class Encodings(Protocol):
    """Who knows what frozen parts say: `OnTheFly`, or `FromShards`."""

    ahead: int
    """Steps before its own at which a batch is best asked for, at least 1."""

    @property
    def waited(self) -> float:
        """Seconds that training stood waiting for data."""

    def prefetch(self, values: Iterable[Value]) -> None:
        """Begin to fetch what will be asked for soon."""

    def get(self, value: Value) -> Tensor:
        """Return one value, on the training's device."""

    def close(self) -> None:
        """Let go of threads and files."""


class Collator:
    """Makes the sub-batches of one phase, which samples videos at `fps`."""

    def __init__(
        self,
        encoders: Encoders,
        encodings: Encodings,
        phase: Phase,
        fps: float,
        caption_dropout: float = 0.0,
        stored: bool = False,
        distribution: TimeDistribution = "uniform",
    ) -> None:
        self._encoders, self._encodings, self._phase, self._fps = encoders, encodings, phase, fps
        self._model, self._device, self._dropout = encoders.model, encoders.device, caption_dropout
        self._speaks, self._stored = "vision_head" in phase.trainable, stored
        self._distribution = distribution
        self._ahead = noise.Ahead(pinned=self._device.type == "cuda")
        self._shapes: dict[Bucket, tuple[int, ...]] = {}  # of latents, once some were seen

    @property
    def objective(self) -> Objective:
        """What the sub-batches are for."""
        return self._phase.objective

    def prefetch(self, draws: Sequence[Draw], bucket: Bucket) -> None:
        """Begin to fetch what these draws' sub-batches need."""
        self._encodings.prefetch(value for draw in draws for value in self._needs(draw, bucket))

    def begin_noise(self, draws: Sequence[Draw], bucket: Bucket, key: tuple[object, ...]) -> None:
        """Begin to draw what these draws meet by chance, by the `key` that they will be collated with."""
        if bucket in self._shapes:
            self._ahead.begin(_keys(draws, key), self._chances(bucket, self._dropout))

    def collate(
        self, draws: Sequence[Draw], bucket: Bucket, key: tuple[object, ...], whole_text: bool = False
    ) -> list[SubBatch]:
        """Return the sub-batches of a micro-batch: one for align and flow, up to three for the heads.

        `key` names the seed and whatever else makes a sample's chances differ, besides itself and the epoch.
        With `whole_text`, no sample goes without its text.
        """
        if self._phase.objective == "align":
            return [self._align(draws, bucket)]
        if self._phase.objective == "flow":
            return [self._flow(draws, bucket, key, 0.0 if whole_text else self._dropout)]
        numbered = list(enumerate(draws))
        asked = [(i, draw) for i, draw in numbered if draw.sample.task in UNDERSTANDING]
        made = [(i, draw) for i, draw in numbered if draw.sample.task not in UNDERSTANDING]
        sub_batches = [self._question(asked, bucket)] if asked else []
        return sub_batches + ([self._vision(made, bucket), self._marker(made, bucket)] if made else [])

    def _needs(self, draw: Draw, bucket: Bucket) -> Iterator[Value]:
        view = self._view(draw, bucket)
        if draw.sample.task in UNDERSTANDING:
            yield question(view, _turn(draw))
        else:
            yield from of_sample(self._phase, draw.sample, view, self._dropout, self._stored)

    def _view(self, draw: Draw, bucket: Bucket) -> View:
        return view_of(draw.sample, bucket, self._fps)

    # --- stage 1

    def _question(self, rows: Sequence[tuple[int, Draw]], bucket: Bucket) -> SubBatch:
        return self._text_sub_batch(
            rows, [question(self._view(draw, bucket), _turn(draw)) for _, draw in rows]
        )

    def _marker(self, rows: Sequence[tuple[int, Draw]], bucket: Bucket) -> SubBatch:
        """Asked to generate, the text head says the marker: how it tells generation from understanding."""
        return self._text_sub_batch(
            rows, [marker(self._view(draw, bucket), draw.sample.prompt) for _, draw in rows]
        )

    def _text_sub_batch(self, rows: Sequence[tuple[int, Draw]], asked: Sequence[Value]) -> SubBatch:
        """The language model is frozen: its states are a value, and the text head alone goes on from them."""
        states = [self._encodings.get(value) for value in asked]
        answers = [answer_ids(self._model.tokenizer, value.words[1]) for value in asked]
        width = max(len(answer) for answer in answers)
        labels = [[*answer, *[UNLABELLED] * (width - len(answer))] for answer in answers]
        inputs = {"states": padded(states, width), "labels": sent(torch.tensor(labels), self._device)}
        return SubBatch("text", tuple(i for i, _ in rows), inputs)

    def _vision(self, rows: Sequence[tuple[int, Draw]], bucket: Bucket) -> SubBatch:
        draws = [draw for _, draw in rows]
        targets = [self._encodings.get(Value("targets", self._view(draw, bucket))) for draw in draws]
        inputs = {
            "prompts": [draw.sample.prompt for draw in draws],
            "targets": torch.stack(targets),
            "kind": bucket.kind,
            **self._sources(draws, bucket, "source_shown", "source_frames"),
        }
        return SubBatch("vision", tuple(i for i, _ in rows), inputs)

    # --- stages 2 and 3

    def _align(self, draws: Sequence[Draw], bucket: Bucket) -> SubBatch:
        prompts = [draw.sample.prompt for draw in draws]
        inputs = {"visual": self._visual(draws, prompts, bucket, None), **self._text(prompts)}
        return SubBatch("align", tuple(range(len(draws))), inputs)

    def _flow(
        self, draws: Sequence[Draw], bucket: Bucket, key: tuple[object, ...], dropout: float
    ) -> SubBatch:
        latents = torch.stack([self._encodings.get(Value("latents", self._view(d, bucket))) for d in draws])
        self._shapes[bucket] = tuple(latents.shape[1:])
        chances = self._ahead.take(_keys(draws, key), self._chances(bucket, dropout))
        pairs = zip(chances.without_text, draws, strict=True)
        prompts = ["" if without else draw.sample.prompt for without, draw in pairs]
        source = self._sources(draws, bucket, "source_latents", "source_latents")
        shown = self._sources(draws, bucket, "source_shown", "source_frames") if self._speaks else None
        inputs = {
            "visual": self._visual(draws, prompts, bucket, shown),
            **self._text(prompts),
            **source,
            "latents": latents,
            "noise": sent(chances.noise, self._device),
            "time": sent(chances.time, self._device),
            "spoken": None if shown is None else {"prompts": prompts, "kind": bucket.kind, **shown},
        }
        return SubBatch("flow", tuple(range(len(draws))), inputs)

    def _chances(self, bucket: Bucket, dropout: float) -> noise.Kind:
        scheduler = self._model.config.scheduler
        large = min(bucket.height, bucket.width) >= SIZE_720P
        shift = scheduler.flow_shift_720p if large else scheduler.flow_shift
        return noise.Kind(self._shapes[bucket], shift, dropout, self._distribution)

    def _visual(
        self,
        draws: Sequence[Draw],
        prompts: Sequence[str],
        bucket: Bucket,
        shown: dict[str, Any] | None,
    ) -> Tensor:
        """Return the vision head's own tokens [B, N, Dv]: a value while it is frozen or stored ones are asked
        for, else said anew, of the sources `shown`.
        """
        pairs = list(zip(draws, prompts, strict=True))
        if shown is None or self._stored:
            return torch.stack([self._encodings.get(visual(self._view(d, bucket), p)) for d, p in pairs])
        return self._encoders.visuals(
            bucket.kind, list(prompts), shown["source_frames"], shown["source_mask"]
        )

    def _text(self, prompts: Sequence[str]) -> dict[str, Tensor]:
        """Return embeddings [B, L, D], zeros past each text's end as Wan has them, and their mask [B, L]."""
        rows = [self._encodings.get(Value("text", None, (prompt,))) for prompt in prompts]
        text = padded(rows, self._model.config.text_encoder.max_tokens)
        lengths = sent(torch.tensor([len(row) for row in rows]), self._device)
        return {
            "text": text,
            "text_mask": torch.arange(text.shape[1], device=self._device) < lengths[:, None],
        }

    def _sources(self, draws: Sequence[Draw], bucket: Bucket, name: Name, argument: str) -> dict[str, Any]:
        """Stack one source tensor over the edits among the samples, zeros for others; say which have it, of
        frames on the CPU: the language model's prompts are made there.
        """
        views = [self._view(draw, bucket) for draw in draws]
        there = [self._encodings.get(Value(name, v)) if v.task in EDITING else None for v in views]
        like = next((tensor for tensor in there if tensor is not None), None)
        if like is None:
            return {argument: None, "source_mask": None}
        mask, none = torch.tensor([tensor is not None for tensor in there]), torch.zeros_like(like)
        filled = torch.stack([none if tensor is None else tensor for tensor in there])
        return {argument: filled, "source_mask": mask if name == "source_shown" else sent(mask, self._device)}


def _keys(draws: Sequence[Draw], key: tuple[object, ...]) -> list[noise.Key]:
    return [(*key, draw.sample.sample_id, draw.epoch) for draw in draws]


def _turn(draw: Draw) -> tuple[str, str]:
    """Return the turn of a conversation whose epoch it is."""
    return draw.sample.turns[draw.epoch % len(draw.sample.turns)]
