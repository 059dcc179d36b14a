"""What DeepSpeed wraps: the trainable parts of a phase, and the losses that reach them.

Frozen parts are used but not registered here, so nothing casts, moves or saves them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from torch import Tensor, nn

from omnivideo.flow import interpolate, velocity_target
from omnivideo.losses import alignment_losses, text_losses, vision_losses
from training.config import StageSection
from training.data.samples import Kind
from training.model.lora import insert, lora_of
from training.model.precision import keep_float32
from training.speed.attention import choose_without_cudnn

if TYPE_CHECKING:
    from omnivideo.model import OmniVideoModel

Loss = Literal["vision", "text", "align", "flow"]


@dataclass(frozen=True)
class SubBatch:
    """What goes through the model at once: `inputs` of one loss, for some members of a micro-batch."""

    loss: Loss
    members: tuple[int, ...]
    inputs: dict[str, Any]


class Trainee(nn.Module):
    """The parts named `trainable`, float32 and ready for gradients; all other parts of `model` take none.

    The phase's `settings` say whether the language model's layers are computed again for gradients that cross
    it, and whether the transformer's own weights stay frozen for a LoRA, drawn from `seed`, to train.
    """

    def __init__(
        self,
        model: OmniVideoModel,
        trainable: Sequence[str],
        settings: StageSection | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        choose_without_cudnn()
        self._model = (model,)  # in a tuple: not a submodule
        model.requires_grad_(False).eval()
        keep_float32(model.dit)
        parts: dict[str, Any] = dict(model.parts())
        self.parts = nn.ModuleDict({name: parts[name].float() for name in trainable})
        self.parts.requires_grad_(True).train()
        lora = lora_of(settings)
        if lora is not None:
            insert(model.dit, lora, seed)
        self._recompute = settings is not None and settings.recompute in {"selective", "full"}
        if self._recompute:
            parts["mllm"].enable_gradient_checkpointing()

    @property
    def model(self) -> OmniVideoModel:
        """The whole model."""
        return self._model[0]

    def forward(self, sub_batch: SubBatch) -> Tensor:
        """Return the loss of each sample, [B] in float32, differentiable."""
        # The language model recomputes in training mode alone, and writes token by token in the other alone.
        self.model.mllm.train(self._recompute)
        losses: Tensor = getattr(self, f"_{sub_batch.loss}")(**sub_batch.inputs)
        self.model.mllm.eval()
        return losses

    def _vision(self, prompts: list[str], targets: Tensor, kind: Kind, **source: Any) -> Tensor:
        """Eq. 1."""
        predicted = self.model.stage1_forward(prompts, targets, kind, **source)
        return vision_losses(predicted, targets)

    def _text(self, states: Tensor, labels: Tensor) -> Tensor:
        """Eq. 2 from the frozen language model's states [B, K, D] and labels [B, K]. Each answer's tokens are
        averaged, so that a sample's loss does not depend on its neighbours.
        """
        return text_losses(self.model.text_head(states), labels)

    def _align(self, visual: Tensor, text: Tensor, text_mask: Tensor) -> Tensor:
        """Section 3.3: the adapter's visual tokens against the text encoder's space."""
        condition, _ = self.model.condition(visual, text, text_mask)
        tokens = condition[:, : self.model.plan(visual.shape[1]).visual]
        return alignment_losses(tokens, text, text_mask)

    def _flow(
        self,
        visual: Tensor,
        text: Tensor,
        text_mask: Tensor,
        source_latents: Tensor | None,
        source_mask: Tensor | None,
        latents: Tensor,
        noise: Tensor,
        time: Tensor,
        spoken: dict[str, Any] | None,
    ) -> Tensor:
        """Eq. 4. With `spoken`, the vision head says `visual` again, in one pass that carries its gradient.

        The tokens it is fed are those that it just generated, so the condition is the one met in use, not one
        that has seen the target.
        """
        if spoken is not None:
            visual = self.model.stage1_forward(targets=visual, **spoken)
        condition, mask = self.model.condition(visual, text, text_mask, source_latents, source_mask)
        # Without any source all of it counts: to ask the mask would be to wait for the GPU.
        seen = None if source_mask is None else mask
        velocity = self.model.velocity(interpolate(latents, noise, time), time, condition, seen)
        return (velocity - velocity_target(latents, noise)).float().pow(2).flatten(1).mean(dim=1)
