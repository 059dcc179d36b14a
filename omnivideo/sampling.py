"""From noise to latents: settings with their defaults, their checks, guidance, and UniPC's loop (section
5.1).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from diffusers import UniPCMultistepScheduler
from torch import Tensor

from omnivideo.config import MediaKind, OmniVideoConfig
from omnivideo.errors import InputError
from omnivideo.guidance import guided_flow
from omnivideo.model import OmniVideoModel

OnStep = Callable[[int, Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Sampling:
    """One call's settings with every default filled in. Sizes in pixels; one frame is an image."""

    height: int
    width: int
    num_frames: int
    steps: int
    guidance_scale: float
    flow_shift: float

    def __post_init__(self) -> None:
        """Refuse what the autoencoder and the transformer's patches cannot represent. Raises InputError."""
        for name, value in (("height", self.height), ("width", self.width)):
            if value < 16 or value % 16:
                near = max(16, round(value / 16) * 16)
                raise InputError(f"{name} is {value}", "generate", f"Use a multiple of 16, such as {near}")
        if self.num_frames < 1 or self.num_frames % 4 != 1:
            near = max(1, round((self.num_frames - 1) / 4) * 4 + 1)
            advice = f"Use 4n+1 frames, such as {near}, or 1 for an image"
            raise InputError(f"num_frames is {self.num_frames}", "generate", advice)
        if self.steps < 1:
            raise InputError(f"steps is {self.steps}", "generate", "Use at least 1")

    @property
    def kind(self) -> MediaKind:
        """Which of the two kinds of output is asked for."""
        return "image" if self.num_frames == 1 else "video"

    @property
    def latent_shape(self) -> tuple[int, int, int]:
        """Latent frames, rows and columns: strides 4×8×8, the first frame alone."""
        return (self.num_frames - 1) // 4 + 1, self.height // 8, self.width // 8


def settle(config: OmniVideoConfig, source_frames: int | None, **given: float | None) -> Sampling:
    """Fill what was left out (None) from the configuration; an edit keeps its source's length, cut to
    4n+1.
    """
    defaults, scheduler = config.generation, config.scheduler
    length = defaults.num_frames if source_frames is None else 4 * ((source_frames - 1) // 4) + 1
    num_frames = int(_or(given["num_frames"], length))
    height, width = int(_or(given["height"], defaults.height)), int(_or(given["width"], defaults.width))
    image = num_frames == 1
    steps = defaults.image_steps if image else defaults.video_steps
    guidance = defaults.image_guidance if image else defaults.video_guidance
    shift = scheduler.flow_shift_720p if min(height, width) >= 720 else scheduler.flow_shift
    return Sampling(
        height=height,
        width=width,
        num_frames=num_frames,
        steps=int(_or(given["steps"], steps)),
        guidance_scale=_or(given["guidance_scale"], guidance),
        flow_shift=_or(given["flow_shift"], shift),
    )


def _or(given: float | None, default: float) -> float:
    return default if given is None else given


def denoise(
    model: OmniVideoModel,
    latents: Tensor,
    condition: tuple[Tensor, Tensor],
    settings: Sampling,
    on_step: OnStep | None = None,
    progress: Callable[[Iterable[Any]], Iterable[Any]] = iter,
    group: Any = None,
) -> Tensor:
    """Integrate noise [B, z, t, h, w] to normalised latents under a condition (c, mask) of B or 2B rows.

    With 2B rows the first half is the negative branch; `group` as in `guided_flow`. `on_step` gets (step,
    timestep, latents) and returns the latents to go on with.
    """
    c, mask = condition
    # Asked once: a mask slows attention, and asking waits for the device.
    seen = (c, None if bool(mask.all()) else mask)
    # A scheduler of its own: UniPC keeps the history of its last run.
    scheduler = UniPCMultistepScheduler.from_config(model.scheduler.config, flow_shift=settings.flow_shift)
    scheduler.set_timesteps(settings.steps, device=latents.device)
    for step, timestep in enumerate(progress(scheduler.timesteps)):
        flow = guided_flow(model, latents, timestep, seen, settings.guidance_scale, group)
        latents = scheduler.step(flow, timestep, latents, return_dict=False)[0]
        if on_step is not None:
            latents = on_step(step, timestep, latents)
    return latents
