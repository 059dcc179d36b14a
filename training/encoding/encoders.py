"""The frozen parts at work, one sample at a time: training on the fly and the encoding job both ask these.

Each sample is seen alone, under the same autocast: what is said of it depends on no neighbour, so a value
read from a shard, remembered or made again is the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor

from omnivideo.losses import UNLABELLED
from omnivideo.vision_tower import evenly_spaced
from training.data.samples import View
from training.encoding.cache import Tensors
from training.errors import TrainingError

if TYPE_CHECKING:
    from omnivideo.config import MediaKind
    from omnivideo.model import OmniVideoModel
    from training.data.loader import Decoded

SHOWN = "shown"
"""Frames [F, 3, H, W] of a clip in question that the language model is shown: its states are the value."""


class Encoders:
    """The frozen parts of `model`, on `device`; `head` says visual tokens in place of one that trains."""

    def __init__(self, model: OmniVideoModel, device: torch.device, head: Any = None) -> None:
        self.model, self.device, self._head = model, device, head

    def look(self, view: View, decoded: Decoded, names: Iterable[str]) -> Tensors:
        """Return the values called `names` of media; see `Value` for their shapes."""
        makers = {
            "targets": lambda: self.model.vision_targets(self._on(decoded.target).transpose(1, 2))[0].float(),
            "latents": lambda: self.model.encode_video(self._on(decoded.target))[0],
            "source_latents": lambda: self.model.encode_video(self._source(view, decoded))[0],
            "source_shown": lambda: self._few(self._source(view, decoded)),
            SHOWN: lambda: self._few(self._on(decoded.target)),
        }
        with self._quietly():
            return {name: makers[name]() for name in names}

    def text(self, prompt: str) -> Tensor:
        """Return the text encoder's embedding [L, D] of a prompt, float32, without padding."""
        with self._quietly():
            text, mask = self.model.encode_text([prompt])
        return text[0, : int(mask.sum())].float()

    def states(self, question: str, answer: str, shown: Tensor | None) -> Tensor:
        """Return what the text head reads to answer a question about `shown` [F, 3, H, W]: float32 [K, D]."""
        with self._quietly():
            hidden, _ = self.model.answer_states([question], [answer], None if shown is None else shown[None])
        return hidden[0].float()

    def visual(self, kind: MediaKind, prompt: str, source_shown: Tensor | None) -> Tensor:
        """Return the visual tokens [N, Dv] that the vision head says for a prompt, and an edit's source."""
        shown = None if source_shown is None else source_shown[None]
        with self._quietly():
            return self.model.predict_visual([prompt], kind, None, shown, self._head)[0].float()

    # --- many samples at once

    def look_at(
        self, views: Sequence[View], decoded: Sequence[Decoded], names: Iterable[str]
    ) -> list[Tensors]:
        """Return what `look` does of several samples of one bucket."""
        targets = torch.stack([one.target for one in decoded]).to(self.device)
        edits = decoded[0].source is not None
        pairs = zip(views, decoded, strict=True)
        source = torch.cat([self._source(view, one) for view, one in pairs]) if edits else targets
        few = self.model.config.mllm.max_frames
        makers = {
            "targets": lambda: self.model.vision_targets(targets.transpose(1, 2)).float(),
            "latents": lambda: self.model.encode_video(targets),
            "source_latents": lambda: self.model.encode_video(source),
            "source_shown": lambda: evenly_spaced(source.transpose(1, 2), few),
            SHOWN: lambda: evenly_spaced(targets.transpose(1, 2), few),
        }
        with self._quietly():
            made = {name: makers[name]() for name in names}
        return [{name: tensor[i] for name, tensor in made.items()} for i in range(len(views))]

    def say(
        self, name: str, words: Sequence[tuple[str, ...]], shown: Sequence[Tensor | None]
    ) -> list[Tensor]:
        """Return texts, states or visual tokens of several samples whose frames have one shape, if any."""
        frames = torch.stack([one for one in shown if one is not None]) if shown[0] is not None else None
        with self._quietly():
            if name == "visual":
                prompts = [prompt for _, prompt in words]
                return list(self.visuals(cast("MediaKind", words[0][0]), prompts, frames))
            if name == "text":
                text, mask = self.model.encode_text([prompt for (prompt,) in words])
                lengths = mask.sum(dim=1).tolist()
                return [row[:length].float() for row, length in zip(text, lengths, strict=True)]
            questions, answers = [one for one, _ in words], [one for _, one in words]
            hidden, labels = self.model.answer_states(questions, answers, frames)
        counts = (labels != UNLABELLED).sum(dim=1).tolist()
        return [row[-count:].float() for row, count in zip(hidden, counts, strict=True)]

    def visuals(
        self, kind: MediaKind, prompts: list[str], frames: Tensor | None, present: Tensor | None = None
    ) -> Tensor:
        """Return visual tokens [B, N, Dv] for prompts, with frames [B, F, 3, H, W] where `present` [B]."""
        with self._quietly():
            visual = self.model.predict_visual(prompts, kind, None, frames, self._head, present)
        return visual.float()

    @contextmanager
    def _quietly(self) -> Iterator[None]:
        with torch.no_grad(), torch.autocast(self.device.type, torch.bfloat16):
            yield

    def _on(self, frames: Tensor) -> Tensor:
        return frames.to(self.device)[None]

    def _source(self, view: View, decoded: Decoded) -> Tensor:
        if decoded.source is None:
            raise TrainingError(f"sample {view.sample_id} is an edit without a source")
        return self._on(decoded.source)

    def _few(self, frames: Tensor) -> Tensor:
        """[1, 3, T, H, W] -> the frames [F, 3, H, W] that the language model looks at."""
        return evenly_spaced(frames.transpose(1, 2), self.model.config.mllm.max_frames)[0]
