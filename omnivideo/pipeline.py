"""OmniVideoPipeline: text or text and source in, image or video out; and questions about media answered.

A diffusers pipeline: `from_pretrained` and `save_pretrained` read and write one folder of safetensors.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKLWan, DiffusionPipeline, UniPCMultistepScheduler, WanTransformer3DModel
from diffusers.utils import BaseOutput
from torch import Tensor
from transformers import UMT5EncoderModel

from omnivideo.adapter import Adapter
from omnivideo.build import LATENT_CHANNELS, PARTS
from omnivideo.config import MediaKind, OmniVideoConfig
from omnivideo.errors import InputError
from omnivideo.frames import Media, as_clip, to_uint8
from omnivideo.mllm import Mllm, TextHead
from omnivideo.model import OmniVideoModel
from omnivideo.prompts import REWRITE
from omnivideo.tokens import MARKERS, marker_id
from omnivideo.vision_head import VisionHead
from omnivideo.vision_tower import VisionTower
from omnivideo.writing import write

StepCallback = Callable[["OmniVideoPipeline", int, Tensor, dict[str, Any]], dict[str, Any] | None]


@dataclass
class OmniVideoOutput(BaseOutput):  # type: ignore[misc]
    """frames [B, T, H, W, 3] uint8 (or the tensor asked for), the prompts that were rendered, and fps."""

    frames: Any
    prompts: list[str]
    fps: int


@dataclass(frozen=True)
class Sampling:
    """One call's settings with every default filled in."""

    height: int
    width: int
    num_frames: int
    steps: int
    guidance_scale: float
    flow_shift: float

    @property
    def kind(self) -> MediaKind:
        """One frame is an image."""
        return "image" if self.num_frames == 1 else "video"


class OmniVideoPipeline(DiffusionPipeline):
    """The eight parts, two tokenizers and a scheduler; `architecture` is the OmniVideoConfig as a dict."""

    model_cpu_offload_seq = "vision_tower->mllm->text_head->vision_head->text_encoder->adapter->dit->vae"
    _callback_tensor_inputs = ("latents",)

    def __init__(
        self,
        mllm: Mllm,
        vision_tower: VisionTower,
        text_head: TextHead,
        vision_head: VisionHead,
        adapter: Adapter,
        dit: WanTransformer3DModel,
        vae: AutoencoderKLWan,
        text_encoder: UMT5EncoderModel,
        tokenizer: Any,
        text_tokenizer: Any,
        scheduler: UniPCMultistepScheduler,
        architecture: dict[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self.register_modules(
            mllm=mllm,
            vision_tower=vision_tower,
            text_head=text_head,
            vision_head=vision_head,
            adapter=adapter,
            dit=dit,
            vae=vae,
            text_encoder=text_encoder,
            tokenizer=tokenizer,
            text_tokenizer=text_tokenizer,
            scheduler=scheduler,
        )
        self.register_to_config(architecture=architecture)

    @classmethod
    def of(cls, model: OmniVideoModel) -> OmniVideoPipeline:
        """The pipeline around a model's own parts, nothing copied."""
        return cls(
            **model.parts(),
            tokenizer=model.tokenizer,
            text_tokenizer=model.text_tokenizer,
            scheduler=model.scheduler,
            architecture=model.config.model_dump(mode="json"),
        )

    @classmethod
    def from_pretrained(cls, folder: str | Path, **options: Any) -> OmniVideoPipeline:
        """Load a folder or hub id, safetensors only; a single `torch_dtype` leaves the autoencoder in float32."""
        dtype = options.pop("dtype", options.pop("torch_dtype", None))
        if isinstance(dtype, torch.dtype):
            dtype = {"default": dtype, "vae": torch.float32}
        if dtype is not None:
            options["dtype"] = dtype
        pipeline: OmniVideoPipeline = super().from_pretrained(str(folder), use_safetensors=True, **options)
        return pipeline

    def save_pretrained(self, folder: str | Path, **options: Any) -> None:
        """Write the folder; config.json repeats the architecture for readers that do not load diffusers."""
        super().save_pretrained(str(folder), **{"safe_serialization": True, **options})
        text = self.omni_config.model_dump_json(indent=2)
        Path(folder, "config.json").write_text(text + "\n", encoding="utf-8")

    @property
    def omni_config(self) -> OmniVideoConfig:
        """The shapes of this model."""
        return OmniVideoConfig.model_validate(self.config.architecture)

    @property
    def model(self) -> OmniVideoModel:
        """The same parts as one module."""
        parts = {name: getattr(self, name) for name in PARTS}
        return OmniVideoModel(self.omni_config, parts, self.tokenizer, self.text_tokenizer, self.scheduler)

    @torch.no_grad()
    def __call__(
        self,
        prompt: str | list[str],
        source: Media | None = None,
        *,
        think: bool = False,
        height: int | None = None,
        width: int | None = None,
        num_frames: int | None = None,
        fps: int | None = None,
        steps: int | None = None,
        guidance_scale: float | None = None,
        negative_prompt: str | None = None,
        flow_shift: float | None = None,
        generator: torch.Generator | list[torch.Generator] | None = None,
        latents: Tensor | None = None,
        callback_on_step_end: StepCallback | None = None,
        output_type: str = "np",
    ) -> OmniVideoOutput:
        """Generate an image (`num_frames=1`) or a video from each prompt, or edit `source` as each prompt says.

        height and width in pixels (multiples of 16), num_frames 4n+1, fps recorded in the output; what is left out
        comes from the architecture's generation defaults (section 5.1: CFG 5.0 and 50 steps for images, 3.0 and 40
        for videos), an edit's frame count from its source. guidance_scale g mixes uncond + g·(cond − uncond), the
        universal negative prompt standing in for the null condition; 1 skips the negative branch. With `think` the
        MLLM rewrites the prompt first, and both text and visual tokens follow the rewrite. output_type: "np" for
        uint8 [B, T, H, W, 3], "pt" for [B, 3, T, H, W] in [-1, 1], "latent". Raises InputError for bad sizes.
        """
        prompts = [prompt] if isinstance(prompt, str) else list(prompt)
        model, defaults = self.model, self.omni_config.generation
        clip = None if source is None else as_clip(source)
        settings = self._settings(clip, height, width, num_frames, steps, guidance_scale, flow_shift)
        if clip is not None:
            clip = as_clip(clip, settings.num_frames, settings.height, settings.width)
        clips = None if clip is None else clip.to(self._execution_device).expand(len(prompts), -1, -1, -1, -1)
        if think:
            prompts = self.rewrite(prompts, settings.kind, generator=generator)
        negative = defaults.negative_prompt if negative_prompt is None else negative_prompt
        condition, mask = self._conditions(model, prompts, negative, settings, clips)
        latents = self._noise(len(prompts), settings, generator) if latents is None else latents
        latents = self._denoise(model, latents, condition, mask, settings, callback_on_step_end)
        self.maybe_free_model_hooks()
        frames = latents if output_type == "latent" else model.decode_latents(latents)
        rate = defaults.fps if fps is None else fps
        return OmniVideoOutput(to_uint8(frames) if output_type == "np" else frames, prompts, rate)

    @torch.no_grad()
    def ask(
        self,
        media: Media | None,
        question: str,
        *,
        max_new_tokens: int | None = None,
        temperature: float | None = None,
        top_p: float | None = None,
        generator: torch.Generator | None = None,
    ) -> str:
        """Answer a question about an image or clip; defaults of section 5.1 (top-p 0.6, temperature 0.2, 1024)."""
        clip = None if media is None else as_clip(media).transpose(1, 2).to(self._execution_device)
        return self._write(
            [question],
            clip,
            max_new_tokens=max_new_tokens,
            temperature=temperature,
            top_p=top_p,
            generator=generator,
        )[0]

    @torch.no_grad()
    def rewrite(
        self,
        prompts: list[str],
        kind: MediaKind,
        generator: torch.Generator | list[torch.Generator] | None = None,
    ) -> list[str]:
        """Think mode's first half (section 4.3): the MLLM's own detailed wording of each prompt.

        A prompt whose rewrite comes out empty is kept as it was.
        """
        medium = "an image" if kind == "image" else "a video"
        asked = [REWRITE.format(medium=medium, prompt=prompt) for prompt in prompts]
        first = generator[0] if isinstance(generator, list) else generator
        written = self._write(asked, None, generator=first)
        return [new.strip() or old for new, old in zip(written, prompts, strict=True)]

    def _write(
        self,
        questions: list[str],
        clip: Tensor | None,
        *,
        generator: torch.Generator | None,
        max_new_tokens: int | None = None,
        temperature: float | None = None,
        top_p: float | None = None,
    ) -> list[str]:
        defaults = self.omni_config.generation
        embeds, mask = self.model.question_embeds(questions, clip)
        answers = write(
            self.mllm,
            self.text_head,
            embeds,
            mask,
            self.tokenizer.eos_token_id,
            banned=tuple(marker_id(self.tokenizer, marker) for marker in MARKERS),
            max_new_tokens=defaults.max_new_tokens if max_new_tokens is None else max_new_tokens,
            temperature=defaults.temperature if temperature is None else temperature,
            top_p=defaults.top_p if top_p is None else top_p,
            generator=generator,
        )
        return [str(self.tokenizer.decode(answer, skip_special_tokens=True)) for answer in answers]

    def _settings(
        self,
        clip: Tensor | None,
        height: int | None,
        width: int | None,
        num_frames: int | None,
        steps: int | None,
        guidance_scale: float | None,
        flow_shift: float | None,
    ) -> Sampling:
        defaults, scheduler = self.omni_config.generation, self.omni_config.scheduler
        if num_frames is None:
            num_frames = defaults.num_frames if clip is None else 4 * ((clip.shape[2] - 1) // 4) + 1
        height, width = height or defaults.height, width or defaults.width
        image = num_frames == 1
        if steps is None:
            steps = defaults.image_steps if image else defaults.video_steps
        if guidance_scale is None:
            guidance_scale = defaults.image_guidance if image else defaults.video_guidance
        if flow_shift is None:
            flow_shift = scheduler.flow_shift_720p if min(height, width) >= 720 else scheduler.flow_shift
        settings = Sampling(height, width, num_frames, steps, guidance_scale, flow_shift)
        check(settings)
        return settings

    def _conditions(
        self,
        model: OmniVideoModel,
        prompts: list[str],
        negative: str,
        settings: Sampling,
        clips: Tensor | None,
    ) -> tuple[Tensor, Tensor]:
        """Conditions [2B or B, S, D], the negative branch first; the source stays in both branches."""
        texts = [negative] * len(prompts) + prompts if settings.guidance_scale != 1 else prompts
        copies = len(texts) // len(prompts)
        seen = None if clips is None else clips.transpose(1, 2).repeat(copies, 1, 1, 1, 1)
        visual = model.predict_visual(texts, settings.kind, source_frames=seen)
        source = None if clips is None else model.encode_video(clips).repeat(copies, 1, 1, 1, 1)
        return model.condition(visual, *model.encode_text(texts), source)

    def _noise(
        self, batch: int, settings: Sampling, generator: torch.Generator | list[torch.Generator] | None
    ) -> Tensor:
        from diffusers.utils.torch_utils import randn_tensor

        shape = (
            batch,
            LATENT_CHANNELS,
            (settings.num_frames - 1) // 4 + 1,
            settings.height // 8,
            settings.width // 8,
        )
        noise: Tensor = randn_tensor(
            shape, generator=generator, device=self._execution_device, dtype=torch.float32
        )
        return noise

    def _denoise(
        self,
        model: OmniVideoModel,
        latents: Tensor,
        condition: Tensor,
        mask: Tensor,
        settings: Sampling,
        callback: StepCallback | None,
    ) -> Tensor:
        # A scheduler of its own: UniPC keeps the history of its last run.
        scheduler = UniPCMultistepScheduler.from_config(self.scheduler.config, flow_shift=settings.flow_shift)
        scheduler.set_timesteps(settings.steps, device=latents.device)
        copies = len(condition) // len(latents)
        for i, timestep in enumerate(self.progress_bar(scheduler.timesteps)):
            doubled = latents.repeat(copies, 1, 1, 1, 1)
            flow = model.predict_flow(doubled, timestep.expand(len(doubled)), condition, mask)
            if copies == 2:
                flow = guided(*flow.chunk(2), settings.guidance_scale)
            latents = scheduler.step(flow, timestep, latents, return_dict=False)[0]
            if callback is not None:
                latents = (callback(self, i, timestep, {"latents": latents}) or {}).get("latents", latents)
        return latents


def guided(negative: Tensor, positive: Tensor, scale: float) -> Tensor:
    """Classifier-free guidance: negative + scale · (positive − negative); 1 gives the positive branch."""
    return negative + scale * (positive - negative)


def check(settings: Sampling) -> None:
    """Refuse sizes that the autoencoder and the transformer's patches cannot represent. Raises InputError."""
    for name in ("height", "width"):
        value = getattr(settings, name)
        if value < 16 or value % 16:
            near = max(16, round(value / 16) * 16)
            raise InputError(f"{name} is {value}", "generate", f"Use a multiple of 16, such as {near}")
    count = settings.num_frames
    if count < 1 or count % 4 != 1:
        near = max(1, round((count - 1) / 4) * 4 + 1)
        raise InputError(
            f"num_frames is {count}", "generate", f"Use 4n+1 frames, such as {near}, or 1 for an image"
        )
    if settings.steps < 1:
        raise InputError(f"steps is {settings.steps}", "generate", "Use at least 1")
