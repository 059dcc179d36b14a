"""Floating-point operations of a step from its shapes: what MFU sets against the device's ceiling.

Two a multiply-add, matrix products and attention alone. A part that trains costs three times its forward
pass, a frozen part that gradients cross twice, and one that none cross once. Recomputed layers do not count,
nor do the encoders: with encoded shards those do not run at all.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from omnivideo.config import MllmConfig
from omnivideo.prompts import GENERATE, chat_ids
from training.model.trainee import SubBatch

if TYPE_CHECKING:
    from omnivideo.model import OmniVideoModel

TRAINS, CROSSED, ASKED = 3, 2, 1


class Flops:
    """Counts for one phase of `model`, in which `trainable` parts train."""

    def __init__(self, model: OmniVideoModel, trainable: Iterable[str]) -> None:
        self._config, self._trainable = model.config, set(trainable)
        self._body = _matrices(model.mllm, without=("embed", "projector", "visual", "vision"))
        self._layers = _count_layers(model.mllm)
        self._text_head, self._vision_head = _matrices(model.text_head), _matrices(model.vision_head)
        adapter = model.adapter
        self._adapter = tuple(map(_matrices, (adapter.visual, adapter.source, adapter.trunk)))
        self._length = functools.lru_cache(4096)(lambda text: len(chat_ids(model.tokenizer, text)) + 1)

    def of(self, sub_batch: SubBatch) -> float:
        """Return the operations of a sub-batch, forward and backward."""
        return float(getattr(self, f"_{sub_batch.loss}")(sub_batch.inputs))

    def _text(self, inputs: dict[str, Any]) -> float:
        """The states that the head reads are given: no gradient goes on from them."""
        return float(CROSSED * 2 * self._text_head * math.prod(inputs["states"].shape[:2]))

    def _vision(self, inputs: dict[str, Any]) -> float:
        count = math.prod(inputs["targets"].shape[:2])
        return CROSSED * self._reading(inputs, inputs["targets"].shape[1]) + TRAINS * self._saying(count)

    def _align(self, inputs: dict[str, Any]) -> float:
        return float(TRAINS * self._adapting(inputs))

    def _flow(self, inputs: dict[str, Any]) -> float:
        times = TRAINS if "dit" in self._trainable else CROSSED
        count = TRAINS * self._adapting(inputs) + times * self._denoising(inputs)
        if inputs["spoken"] is not None:  # said token by token first, then once more with gradients
            tokens = inputs["visual"].shape[1]
            count += (ASKED + CROSSED) * self._reading(inputs["spoken"], tokens)
            count += (ASKED + TRAINS) * self._saying(math.prod(inputs["visual"].shape[:2]))
        return count

    def _reading(self, inputs: dict[str, Any], visual: int) -> float:
        """The language model over prompts, an edit's frames and visual tokens; attention is causal."""
        shown: Tensor | None = inputs["source_frames"]
        frames = 0 if shown is None else shown.shape[1] * self._places()
        total = 0.0
        has = [0] * len(inputs["prompts"]) if shown is None else inputs["source_mask"].tolist()
        for prompt, edits in zip(inputs["prompts"], has, strict=True):
            length = self._length(GENERATE[inputs["kind"]].format(prompt=prompt)) + visual + frames * edits
            total += 2 * self._body * length + 2 * self._layers * length**2 * self._config.mllm.hidden_size
        return total

    def _places(self) -> int:
        mllm = self._config.mllm
        if not isinstance(mllm, MllmConfig):
            return 0  # as many as its own processor says, which no configuration tells
        return math.ceil(mllm.vision.image_size // mllm.vision.patch_size / 2) ** 2

    def _saying(self, tokens: int) -> float:
        return 2.0 * self._vision_head * tokens

    def _adapting(self, inputs: dict[str, Any]) -> int:
        """Each kind of token through its own projection, all of them through the trunk."""
        visual, source, trunk = self._adapter
        each: int = visual * inputs["visual"].shape[1] + source * self._source(inputs)
        return 2 * len(inputs["visual"]) * (each + trunk * self._condition(inputs))

    def _source(self, inputs: dict[str, Any]) -> int:
        """Tokens of the source, before any pooling to the budget."""
        source: Tensor | None = inputs.get("source_latents")
        if source is None:
            return 0
        patch, (frames, rows, columns) = self._config.adapter.source_patch, source.shape[2:]
        return int(frames * math.ceil(rows / patch) * math.ceil(columns / patch))

    def _condition(self, inputs: dict[str, Any]) -> int:
        whole = int(inputs["visual"].shape[1] + self._source(inputs) + inputs["text"].shape[1])
        return min(whole, self._config.condition_budget)

    def _denoising(self, inputs: dict[str, Any]) -> float:
        """Wan's transformer: T tokens of 1×2×2 latents attend to each other and to S of the condition."""
        dit, latents = self._config.dit, inputs["latents"]
        batch, channels, frames, rows, columns = latents.shape
        tokens, condition = frames * rows * columns // 4, self._condition(inputs)
        width = dit.num_attention_heads * dit.attention_head_dim
        linear = 2 * tokens * (6 * width**2 + 2 * width * dit.ffn_dim) + 4 * condition * width**2
        attention = 4 * tokens * (tokens + condition) * width
        ends = 4 * tokens * 4 * channels * width + 2 * condition * width * (dit.text_dim + width)
        return float(batch * (dit.num_layers * (linear + attention) + ends))


def _matrices(module: nn.Module, without: Sequence[str] = ()) -> int:
    """Return the numbers in a module's weight matrices and kernels."""
    matrices = ((name, p.numel()) for name, p in module.named_parameters() if p.ndim > 1)
    return sum(count for name, count in matrices if not any(word in name for word in without))


def _count_layers(module: nn.Module) -> int:
    lists = [child for child in module.modules() if isinstance(child, nn.ModuleList)]
    return max((len(child) for child in lists), default=0)
