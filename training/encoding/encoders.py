"""The frozen parts at work, one sample at a time: training on the fly and the encoding job both ask these.

Each sample is seen alone, under the same autocast: what is said of it depends on no neighbour, so a value
read from a shard, remembered or made again is the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from omnivideo.vision_tower import evenly_spaced
from training.encoding.values import View
from training.errors import TrainingError
from training.memory import Tensors

if TYPE_CHECKING:
    from omnivideo.config import MediaKind
    from omnivideo.model import OmniVideoModel
    from training.loader import Decoded

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
