"""Training a LoRA of the transformer in its place: inserted by peft, taken out again when the stage ends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from omnivideo.errors import InputError

if TYPE_CHECKING:
    from omnivideo.lora import Lora
    from training.config import StageSection

NAME = "default"


class LoraSection(BaseModel):
    """A low-rank adaptation of the transformer instead of all its weights; needs peft."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rank: int = Field(default=32, ge=1, description="of the two matrices beside each layer's own")
    alpha: float = Field(default=32.0, gt=0.0, description="their product counts alpha / rank")
    targets: tuple[str, ...] = Field(
        default=("to_q", "to_k", "to_v", "to_out.0"),
        min_length=1,
        description="ends of names of the linear layers to adapt; ffn.net.0.proj and ffn.net.2 are the "
        "feed-forward's",
    )
    export: Literal["merged", "apart"] = Field(
        default="merged",
        description="merged: added to the exported transformer; apart: in its folder dit_lora, beside the "
        "transformer that the stage began with",
    )


def lora_of(settings: StageSection | None) -> LoraSection | None:
    """Return what a phase's settings say of a LoRA: stage 3 alone has it, which trains the transformer."""
    section: LoraSection | None = getattr(settings, "lora", None)
    return section


def check_peft() -> None:
    """Raise InputError if peft is not there."""
    from importlib.util import find_spec

    if find_spec("peft") is None:
        raise InputError("training a LoRA needs peft", "stage-3", 'pip install "omnivideo[lora]"')


def insert(dit: Any, section: LoraSection, seed: int) -> None:
    """Put fresh matrices beside the target layers, the same for the same seed; they alone take gradients.

    Their product begins at zero. Raises InputError for targets that the transformer has not.
    """
    check_peft()
    import torch
    from peft import LoraConfig

    alpha: Any = section.alpha  # peft says int, and takes any number
    config = LoraConfig(r=section.rank, lora_alpha=alpha, target_modules=list(section.targets))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        try:
            dit.add_adapter(config, adapter_name=NAME)
        except ValueError as error:
            what = f"stages.stage_3.lora.targets: {str(error).splitlines()[0]}"
            raise InputError(
                what, "stage-3", "name ends of linear layers, such as to_q or ffn.net.2"
            ) from None
    for name, parameter in dit.named_parameters():
        parameter.requires_grad_(".lora_" in name)


def take_out(dit: Any) -> Lora | None:
    """Take the adaptation out of the transformer, which is then as it was before; None if it has none."""
    if NAME not in getattr(dit, "peft_config", {}):
        return None
    from peft.utils import get_peft_model_state_dict

    from omnivideo.lora import Lora

    alpha = float(dit.peft_config[NAME].lora_alpha)
    tensors = {
        name: t.detach().clone() for name, t in get_peft_model_state_dict(dit, adapter_name=NAME).items()
    }
    dit.unload_lora()
    return Lora(tensors, alpha)
