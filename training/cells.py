"""From the samples of a micro-batch to the cells that go through the model.

Frozen encoders see each sample alone and once; what they say is the same whether remembered or made again, so
a resumed run trains on exactly what an uninterrupted one does.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from omnivideo.model import OmniVideoModel
from omnivideo.prompts import GENERATE, OPENERS
from omnivideo.vision_tower import evenly_spaced
from training.config import UNDERSTANDING
from training.loader import Decoded, Loader
from training.memory import Memory, Tensors
from training.noise import chance
from training.plan import Draw
from training.samples import Bucket, Sample
from training.stages import Objective, Phase
from training.trainee import Cell

SIZE_720P = 720


class CellMaker:
    """Makes the cells of one phase, on `device`."""

    def __init__(
        self,
        model: OmniVideoModel,
        phase: Phase,
        loader: Loader,
        memory: Memory,
        device: torch.device,
        caption_dropout: float = 0.0,
    ) -> None:
        self._model, self._phase, self._loader, self._memory = model, phase, loader, memory
        self._device, self._dropout = device, caption_dropout
        self._speaks = "vision_head" in phase.trainable

    @property
    def objective(self) -> Objective:
        """What the cells are for."""
        return self._phase.objective

    def prefetch(self, draws: Sequence[Draw], bucket: Bucket) -> None:
        """Begin to decode what is not remembered."""
        samples = [draw.sample for draw in draws if self._needs_media(draw.sample)]
        self._loader.prefetch([s for s in samples if self._key(s, bucket) not in self._memory], bucket)

    @torch.no_grad()
    def cells(
        self, draws: Sequence[Draw], bucket: Bucket, key: tuple[object, ...], whole_text: bool = False
    ) -> list[Cell]:
        """Return the cells of a micro-batch: one for align and flow, up to three for the heads.

        `key` names the seed and whatever else makes a sample's chances differ, besides itself and the epoch.
        With `whole_text`, no sample goes without its text.
        """
        numbered = list(enumerate(draws))
        with torch.autocast(self._device.type, torch.bfloat16):
            if self._phase.objective == "align":
                return [self._align(draws, bucket)]
            if self._phase.objective == "flow":
                return [self._flow(draws, bucket, key, 0.0 if whole_text else self._dropout)]
            asked = [(i, draw) for i, draw in numbered if draw.sample.task in UNDERSTANDING]
            made = [(i, draw) for i, draw in numbered if draw.sample.task not in UNDERSTANDING]
            cells = [self._question(asked, bucket)] if asked else []
            return cells + ([self._vision(made, bucket), self._marker(made, bucket)] if made else [])

    # --- stage 1

    def _question(self, rows: Sequence[tuple[int, Draw]], bucket: Bucket) -> Cell:
        turns = [draw.sample.turns[draw.epoch % len(draw.sample.turns)] for _, draw in rows]
        frames = torch.stack([self._seen(draw.sample, bucket)["shown"] for _, draw in rows])
        inputs = {"questions": [q for q, _ in turns], "answers": [a for _, a in turns], "frames": frames}
        return Cell("text", tuple(i for i, _ in rows), inputs)

    def _vision(self, rows: Sequence[tuple[int, Draw]], bucket: Bucket) -> Cell:
        seen = [self._seen(draw.sample, bucket) for _, draw in rows]
        inputs = {
            "prompts": [draw.sample.prompt for _, draw in rows],
            "targets": torch.stack([tensors["targets"] for tensors in seen]),
            "kind": bucket.kind,
            **self._sources(seen, "source_shown", "source_frames"),
        }
        return Cell("vision", tuple(i for i, _ in rows), inputs)

    def _marker(self, rows: Sequence[tuple[int, Draw]], bucket: Bucket) -> Cell:
        """Asked to generate, the text head says the marker: how it tells generation from understanding."""
        asked = [GENERATE[bucket.kind].format(prompt=draw.sample.prompt) for _, draw in rows]
        inputs = {"questions": asked, "answers": [OPENERS[bucket.kind]] * len(asked), "frames": None}
        return Cell("text", tuple(i for i, _ in rows), inputs)

    # --- stages 2 and 3

    def _align(self, draws: Sequence[Draw], bucket: Bucket) -> Cell:
        prompts = [draw.sample.prompt for draw in draws]
        seen = [self._seen(draw.sample, bucket) for draw in draws]
        visual = self._visual(draws, prompts, bucket, seen)
        return Cell("align", tuple(range(len(draws))), {"visual": visual, **self._text(prompts)})

    def _flow(self, draws: Sequence[Draw], bucket: Bucket, key: tuple[object, ...], dropout: float) -> Cell:
        seen = [self._seen(draw.sample, bucket) for draw in draws]
        latents = torch.stack([tensors["latents"] for tensors in seen])
        shift = self._shift(bucket)
        chances = [
            chance(tuple(latents.shape[1:]), (*key, d.sample.sample_id, d.epoch), shift, dropout)
            for d in draws
        ]
        prompts = ["" if c.without_text else d.sample.prompt for c, d in zip(chances, draws, strict=True)]
        shown = self._sources(seen, "source_shown", "source_frames")
        source = self._sources(seen, "source_latents", "source_latents")
        inputs = {
            "visual": self._visual(draws, prompts, bucket, seen),
            **self._text(prompts),
            "source_latents": source["source_latents"],
            "source_mask": source["source_mask"],
            "latents": latents,
            "noise": torch.stack([c.noise for c in chances]).to(self._device),
            "time": torch.stack([c.time for c in chances]).to(self._device),
            "spoken": {"prompts": prompts, "kind": bucket.kind, **shown} if self._speaks else None,
        }
        return Cell("flow", tuple(range(len(draws))), inputs)

    def _shift(self, bucket: Bucket) -> float:
        scheduler = self._model.config.scheduler
        large = min(bucket.height, bucket.width) >= SIZE_720P
        return scheduler.flow_shift_720p if large else scheduler.flow_shift

    def _visual(
        self, draws: Sequence[Draw], prompts: Sequence[str], bucket: Bucket, seen: Sequence[Tensors]
    ) -> Tensor:
        """Return the vision head's own tokens [B, N, Dv], remembered while it is frozen."""
        spoken = []
        for draw, prompt, tensors in zip(draws, prompts, seen, strict=True):
            key = ("visual", draw.sample.sample_id, draw.sample.task, bucket, prompt)
            frames = tensors.get("source_shown")

            def say(prompt: str = prompt, frames: Tensor | None = frames) -> Tensors:
                shown = None if frames is None else frames[None]
                return {"visual": self._model.predict_visual([prompt], bucket.kind, None, shown)[0]}

            spoken.append((say() if self._speaks else self._memory.get(key, say))["visual"])
        return torch.stack(spoken)

    def _text(self, prompts: Sequence[str]) -> dict[str, Tensor]:
        rows = [self._memory.get(("text", p), functools.partial(self._encoded, p)) for p in prompts]
        return {name: torch.stack([row[name] for row in rows]) for name in ("text", "text_mask")}

    def _encoded(self, prompt: str) -> Tensors:
        text, mask = self._model.encode_text([prompt])
        return {"text": text[0].float(), "text_mask": mask[0]}

    # --- media

    def _needs_media(self, sample: Sample) -> bool:
        return self._phase.objective != "align" or sample.task in {"image_edit", "video_edit"}

    def _key(self, sample: Sample, bucket: Bucket) -> tuple[object, ...]:
        return ("media", sample.sample_id, sample.task, bucket, self._phase.objective)

    def _seen(self, sample: Sample, bucket: Bucket) -> Tensors:
        """Return what the phase needs of a sample's media: `shown`, `targets`, `latents`, `source_…`."""
        if not self._needs_media(sample):
            return {}
        return self._memory.get(
            self._key(sample, bucket), lambda: self._look(sample, self._loader.take(sample, bucket))
        )

    def _look(self, sample: Sample, decoded: Decoded) -> Tensors:
        target = decoded.target.to(self._device)
        tensors: Tensors = {}
        if sample.task in UNDERSTANDING:
            return {"shown": self._few(target)}
        if self._phase.objective == "heads":
            tensors["targets"] = self._model.vision_targets(target.transpose(0, 1)[None])[0].float()
        if self._phase.objective == "flow":
            tensors["latents"] = self._model.encode_video(target[None])[0]
        if decoded.source is not None:
            source = decoded.source.to(self._device)
            tensors["source_shown"] = self._few(source)
            if self._phase.objective == "flow":
                tensors["source_latents"] = self._model.encode_video(source[None])[0]
        return tensors

    def _few(self, frames: Tensor) -> Tensor:
        """[3, T, H, W] -> the frames [F, 3, H, W] that the language model looks at."""
        return evenly_spaced(frames.transpose(0, 1)[None], self._model.config.mllm.max_frames)[0]

    def _sources(self, seen: Sequence[Tensors], name: str, argument: str) -> dict[str, Any]:
        """Stack one source tensor over the samples, zeros for those without one, and say which have it."""
        there = [tensors.get(name) for tensors in seen]
        like = next((tensor for tensor in there if tensor is not None), None)
        if like is None:
            return {argument: None, "source_mask": None}
        mask = torch.tensor([tensor is not None for tensor in there], device=self._device)
        filled = [torch.zeros_like(like) if tensor is None else tensor for tensor in there]
        return {argument: torch.stack(filled), "source_mask": mask}
