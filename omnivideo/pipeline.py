"""OmniVideoPipeline: text, or text and a source, in; image or video out; and questions about media answered.

A diffusers pipeline: `from_pretrained` and `save_pretrained` read and write one folder of safetensors.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKLWan, DiffusionPipeline, UniPCMultistepScheduler, WanTransformer3DModel
from diffusers.utils import BaseOutput
from diffusers.utils.torch_utils import randn_tensor
from torch import Tensor
from transformers import UMT5EncoderModel

from omnivideo import lora
from omnivideo.adapter import Adapter
from omnivideo.answering import answer
from omnivideo.build import LATENT_CHANNELS, PARTS
from omnivideo.card import describe
from omnivideo.config import MediaKind, OmniVideoConfig
from omnivideo.errors import InputError
from omnivideo.folders import check_folder
from omnivideo.frames import Media, as_clip, to_uint8
from omnivideo.mllm import Mllm, TextHead
from omnivideo.model import OmniVideoModel
from omnivideo.prompts import REWRITE, clean
from omnivideo.sampling import OnStep, Sampling, denoise, settle
from omnivideo.speed import quicken
from omnivideo.transformers_mllm import TransformersMllm
from omnivideo.vision_head import VisionHead
from omnivideo.vision_tower import VisionTower

Generators = torch.Generator | list[torch.Generator] | None
StepCallback = Callable[["OmniVideoPipeline", int, Tensor, dict[str, Any]], dict[str, Any] | None]


@dataclass
class OmniVideoOutput(BaseOutput):  # type: ignore[misc]  # diffusers ships no types
    """frames [B, T, H, W, 3] uint8 (or the tensor asked for), the prompts that were rendered, and fps."""

    frames: Any
    prompts: list[str]
    fps: int


class OmniVideoPipeline(DiffusionPipeline):  # type: ignore[misc]  # diffusers ships no types
    """The eight parts, two tokenizers and a scheduler; `architecture` is the OmniVideoConfig as a dict.

    `enable_model_cpu_offload()` keeps one of the large parts on the GPU at a time; `vae.enable_tiling()`
    decodes frame tiles one after another. Both trade time for memory; `quicken()` trades a slow first call
    for faster ones after it.
    """

    model_cpu_offload_seq = "vision_tower->mllm->text_encoder->dit->vae"
    _exclude_from_cpu_offload = ("vision_head", "text_head", "adapter")  # small, and asked at every step

    def __init__(
        self,
        mllm: Mllm | TransformersMllm,
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
        parts: dict[str, Any] = dict(model.parts())
        return cls(
            **parts,
            tokenizer=model.tokenizer,
            text_tokenizer=model.text_tokenizer,
            scheduler=model.scheduler,
            architecture=model.config.model_dump(mode="json"),
        )

    @classmethod
    def from_pretrained(cls, folder: str | Path, **options: Any) -> OmniVideoPipeline:
        """Load a folder or hub id, safetensors only; a single `dtype` leaves the autoencoder in float32. A
        LoRA in the folder is merged into the transformer.

        Raises InputError for a local folder that holds something else.
        """
        check_folder(Path(folder), PARTS)
        dtype = options.pop("dtype", options.pop("torch_dtype", None))
        if isinstance(dtype, torch.dtype):
            dtype = {"default": dtype, "vae": torch.float32}
        if dtype is not None:
            options["dtype"] = dtype
        pipeline: OmniVideoPipeline = super().from_pretrained(str(folder), use_safetensors=True, **options)
        if (Path(folder) / lora.FOLDER).is_dir():
            pipeline.add_lora(Path(folder) / lora.FOLDER)
        return pipeline

    def add_lora(self, path: str | Path, scale: float = 1.0) -> None:
        """Merge a LoRA of the transformer, a file or its folder, into the weights in memory. Raises
        InputError if it fits another model.
        """
        lora.merge(self.dit, lora.load(path), scale)

    def save_pretrained(
        self, folder: str | Path, lineage: Mapping[str, Any] | None = None, **options: Any
    ) -> None:
        """Write the folder with a card and its lineage (dataset version, recipe, stages: any JSON-like
        values); config.json repeats the architecture for readers that do not load diffusers.
        """
        super().save_pretrained(str(folder), **{"safe_serialization": True, **options})
        text = self.omni_config.model_dump_json(indent=2)
        Path(folder, "config.json").write_text(text + "\n", encoding="utf-8")
        describe(folder, self.omni_config, lineage or {})

    @property
    def omni_config(self) -> OmniVideoConfig:
        """The shapes of this model."""
        return OmniVideoConfig.model_validate(self.config.architecture)

    @property
    def model(self) -> OmniVideoModel:
        """The same parts as one module."""
        parts = {name: getattr(self, name) for name in PARTS}
        return OmniVideoModel(self.omni_config, parts, self.tokenizer, self.text_tokenizer, self.scheduler)

    def quicken(self) -> None:
        """Sample faster from the second call on; see `omnivideo.speed`."""
        quicken(self.dit)

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
        generator: Generators = None,
        latents: Tensor | None = None,
        callback_on_step_end: StepCallback | None = None,
        branch_group: Any = None,
        output_type: str = "np",
    ) -> OmniVideoOutput:
        """Generate an image (`num_frames=1`) or a video from each prompt, or edit `source` as each prompt
        says.

        height and width in pixels (multiples of 16), num_frames 4n+1, fps only recorded in the output. What
        is left out comes from the architecture (section 5.1: CFG 5.0 and 50 steps for images, 3.0 and 40 for
        videos), an edit's frame count from its source. guidance_scale g mixes uncond + g·(cond − uncond),
        with the universal negative prompt in place of the null condition; at 1 that branch is skipped. With
        `think` the MLLM rewrites the prompt first; text and visual tokens both follow the rewrite, which the
        output holds. branch_group: two torch.distributed ranks that call this alike, with generators seeded
        alike, and share the work of the two branches. output_type: "np" for uint8 [B, T, H, W, 3], "pt" for
        [B, 3, T, H, W] in [-1, 1], "latent". Raises InputError for sizes that do not fit and empty prompts.
        """
        prompts = _worded(prompt, "prompt", "generate")
        clip = None if source is None else as_clip(source)
        settings = settle(
            self.omni_config,
            None if clip is None else clip.shape[2],
            height=height,
            width=width,
            num_frames=num_frames,
            steps=steps,
            guidance_scale=guidance_scale,
            flow_shift=flow_shift,
        )
        if clip is not None:
            clip = as_clip(clip, settings.num_frames, settings.height, settings.width)
            clip = clip.to(self._execution_device).expand(len(prompts), -1, -1, -1, -1)
        if think:
            prompts = self.rewrite(prompts, settings.kind, generator, clip)
        model, defaults = self.model, self.omni_config.generation
        negative = defaults.negative_prompt if negative_prompt is None else negative_prompt
        condition = self._conditions(model, prompts, negative, settings, clip)
        noise = self._noise(len(prompts), settings, generator) if latents is None else latents
        noise = noise.to(self._execution_device)
        on_step = None if callback_on_step_end is None else self._adapted(callback_on_step_end)
        result = denoise(model, noise, condition, settings, on_step, self.progress_bar, branch_group)
        frames = result if output_type == "latent" else model.decode_latents(result)
        self.maybe_free_model_hooks()
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
        """Answer a question about an image or clip, sampled as in section 5.1 (top-p 0.6, temperature
        0.2).
        """
        questions = _worded(question, "question", "ask")
        clip = None if media is None else as_clip(media).transpose(1, 2).to(self._execution_device)
        answers = answer(self.model, questions, clip, generator, max_new_tokens, temperature, top_p)
        self.maybe_free_model_hooks()
        return answers[0]

    @torch.no_grad()
    def rewrite(
        self,
        prompts: list[str],
        kind: MediaKind,
        generator: Generators = None,
        clips: Tensor | None = None,
    ) -> list[str]:
        """Think mode's first half (section 4.3): the MLLM's own detailed wording of each prompt.

        For an edit it sees the source, clips [B, 3, T, H, W]. A prompt whose rewrite is empty stays as it
        was.
        """
        medium = "an image" if kind == "image" else "a video"
        asked = [REWRITE.format(medium=medium, prompt=prompt) for prompt in prompts]
        first = generator[0] if isinstance(generator, list) else generator
        written = answer(self.model, asked, None if clips is None else clips.transpose(1, 2), first)
        return [new.strip() or old for new, old in zip(written, prompts, strict=True)]

    def _conditions(
        self,
        model: OmniVideoModel,
        prompts: list[str],
        negative: str,
        settings: Sampling,
        clips: Tensor | None,
    ) -> tuple[Tensor, Tensor]:
        """(c, mask) of 2B rows, the negative branch first, or of B at scale 1; the source is in both
        branches.
        """
        texts = prompts if settings.guidance_scale == 1 else [negative] * len(prompts) + prompts
        copies = len(texts) // len(prompts)
        seen = None if clips is None else clips.transpose(1, 2).repeat(copies, 1, 1, 1, 1)
        visual = model.predict_visual(texts, settings.kind, source_frames=seen)
        source = None if clips is None else model.encode_video(clips[:1]).repeat(len(texts), 1, 1, 1, 1)
        return model.condition(visual, *model.encode_text(texts), source)

    def _noise(self, batch: int, settings: Sampling, generator: Generators) -> Tensor:
        shape = (batch, LATENT_CHANNELS, *settings.latent_shape)
        device = self._execution_device
        noise: Tensor = randn_tensor(shape, generator=generator, device=device, dtype=torch.float32)
        return noise

    def _adapted(self, callback: StepCallback) -> OnStep:
        """diffusers' signature: the callback may answer with other latents."""

        def on_step(step: int, timestep: Tensor, latents: Tensor) -> Tensor:
            answer = callback(self, step, timestep, {"latents": latents}) or {}
            chosen: Tensor = answer.get("latents", latents)
            return chosen

        return on_step


def _worded(text: str | list[str], name: str, step: str) -> list[str]:
    texts = [text] if isinstance(text, str) else list(text)
    if not texts or not all(clean(each) for each in texts):
        raise InputError(f"the {name} is empty", step, "Say what you want in words")
    return texts
