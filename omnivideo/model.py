"""The whole model: eight parts by name, and what training and sampling ask of them together.

Shapes: B batch, F frames, N visual tokens, Dv their width, L text tokens, S condition tokens, z latent
channels. Pixels are in [-1, 1]. A micro-batch calls each trainable part once: DeepSpeed's ZeRO reduces wrong
gradients when a module runs twice before its backward.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from diffusers.utils.torch_utils import get_module_execution_device
from torch import Tensor, nn

from omnivideo.build import PARTS, build_part
from omnivideo.conditioning import ConditionPlan, plan_condition
from omnivideo.config import MediaKind, OmniVideoConfig
from omnivideo.decoder import (
    build_scheduler,
    denormalise,
    install_condition_mask,
    normalise,
    set_condition_mask,
)
from omnivideo.flow import wan_timestep
from omnivideo.losses import UNLABELLED
from omnivideo.prompts import EDIT, GENERATE, OPENERS, answer_ids, clean
from omnivideo.reading import Reading, read
from omnivideo.tokens import byte_tokenizer, marker_id
from omnivideo.vision_head import free_running, teacher_forced
from omnivideo.vision_tower import evenly_spaced


class OmniVideoModel(nn.Module):
    """The parts of `PARTS` as submodules, two tokenizers and a scheduler. Parts share no parameter."""

    mllm: Any
    vision_tower: Any
    text_head: Any
    vision_head: Any
    adapter: Any
    dit: Any
    vae: Any
    text_encoder: Any

    def __init__(
        self,
        config: OmniVideoConfig,
        parts: dict[str, nn.Module],
        tokenizer: Any,
        text_tokenizer: Any,
        scheduler: Any,
    ) -> None:
        super().__init__()
        self.config, self.scheduler = config, scheduler
        self.tokenizer, self.text_tokenizer = tokenizer, text_tokenizer
        for name in PARTS:
            self.add_module(name, parts[name])
        install_condition_mask(self.dit)

    @classmethod
    def build(cls, config: OmniVideoConfig, seed: int = 0) -> OmniVideoModel:
        """Random weights in float32 on the CPU; the same seed gives the same weights."""
        parts = {name: build_part(name, config, seed) for name in PARTS}
        scheduler = build_scheduler(config.scheduler)
        return cls(config, parts, byte_tokenizer(), byte_tokenizer(append_eos=True), scheduler)

    @classmethod
    def from_pretrained(cls, folder: str | Path, dtype: torch.dtype | None = None) -> OmniVideoModel:
        """Load a folder (or hub id) that `save_pretrained` wrote; the autoencoder stays float32 whatever
        `dtype`.
        """
        from omnivideo.pipeline import OmniVideoPipeline

        return OmniVideoPipeline.from_pretrained(folder, dtype=dtype).model

    def save_pretrained(self, folder: str | Path, lineage: Mapping[str, Any] | None = None) -> None:
        """Write the pipeline folder: safetensors a part, tokenizers, scheduler, model_index.json,
        config.json, card and lineage.
        """
        from omnivideo.pipeline import OmniVideoPipeline

        OmniVideoPipeline.of(self).save_pretrained(folder, lineage)

    def train(self, mode: bool = True) -> OmniVideoModel:
        """Set training mode; the frozen encoders stay in eval mode, for UMT5 would drop out."""
        super().train(mode)
        for part in (self.vision_tower, self.vae, self.text_encoder):
            part.eval()
        return self

    def parts(self) -> dict[str, nn.Module]:
        """The eight parts by name, disjoint in parameters."""
        return {name: getattr(self, name) for name in PARTS}

    @property
    def device(self) -> torch.device:
        """Where the transformer computes."""
        device: torch.device = get_module_execution_device(self.dit)
        return device

    # --- what the frozen encoders give

    @torch.no_grad()
    def encode_text(self, texts: list[str]) -> tuple[Tensor, Tensor]:
        """UMT5 embeddings [B, L, text_dim], zero past each text's end as Wan has them, and the mask [B,
        L].
        """
        limit, cleaned = self.config.text_encoder.max_tokens, [clean(text) for text in texts]
        longest = max(len(ids) for ids in self.text_tokenizer(cleaned).input_ids)
        if longest > limit:
            warnings.warn(f"a text of {longest} tokens is cut to the encoder's {limit}", stacklevel=2)
        batch = self.text_tokenizer(
            cleaned, padding="max_length", max_length=limit, truncation=True, return_tensors="pt"
        ).to(get_module_execution_device(self.text_encoder))
        states = self.text_encoder(batch.input_ids, batch.attention_mask).last_hidden_state
        mask = batch.attention_mask.bool()
        return states * mask.unsqueeze(-1).to(states.dtype), mask

    @torch.no_grad()
    def vision_targets(self, frames: Tensor) -> Tensor:
        """E of Eq. 1 from frames [B, F, 3, H, W]: [B, N, Dv], `tokens_per_frame` for each of the frames.

        Of more frames than `vision_head.video_frames`, that many evenly spaced ones are taken; N is
        `config.vision_head.num_tokens(kind)` for one frame (image) or at least `video_frames` (video).
        """
        picked = evenly_spaced(frames, self.config.vision_head.video_frames)
        tokens = self.vision_tower.targets(picked.flatten(0, 1), self.config.vision_head.tokens_per_frame)
        unflat: Tensor = tokens.unflatten(0, picked.shape[:2]).flatten(1, 2)
        return unflat

    @torch.no_grad()
    def encode_video(self, frames: Tensor) -> Tensor:
        """Normalised latents [B, z, 1+(T−1)/4, H/8, W/8], float32, of frames [B, 3, T, H, W]; the posterior's
        mode.
        """
        with torch.autocast(frames.device.type, enabled=False):
            posterior = self.vae.encode(frames.to(self.vae.dtype)).latent_dist
        return normalise(self.vae, posterior.mode().float())

    @torch.no_grad()
    def decode_latents(self, latents: Tensor) -> Tensor:
        """Frames [B, 3, T, H, W] in [-1, 1] of normalised latents."""
        with torch.autocast(latents.device.type, enabled=False):
            frames: Tensor = self.vae.decode(denormalise(self.vae, latents.float()).to(self.vae.dtype)).sample
        return frames.float()

    # --- the MLLM and its heads

    def stage1_forward(
        self,
        prompts: list[str],
        targets: Tensor,
        kind: MediaKind,
        source_frames: Tensor | None = None,
        source_mask: Tensor | None = None,
    ) -> Tensor:
        """Visual tokens [B, N, Dv] that the vision head predicts when fed the true ones, targets [B, N, Dv].

        Editing shows the MLLM source_frames [B, F, 3, H, W]; source_mask [B] tells which samples have a
        source; a GPU that holds it is waited for.
        """
        prompt = self.visual_prompt(prompts, kind, source_frames, source_mask)
        return teacher_forced(self.mllm, self.vision_head, prompt, targets)

    def predict_visual(
        self,
        prompts: list[str],
        kind: MediaKind,
        num_tokens: int | None = None,
        source_frames: Tensor | None = None,
        head: Any = None,
        source_mask: Tensor | None = None,
    ) -> Tensor:
        """Visual tokens [B, N, Dv] generated one after another; N defaults to what the configuration says.

        `head`: another vision head to say them, with its own markers. Sources as in `stage1_forward`.
        """
        head = self.vision_head if head is None else head
        with torch.no_grad():
            prompt = self.visual_prompt(prompts, kind, source_frames, source_mask, head)
        count = num_tokens or self.config.vision_head.num_tokens(kind)
        return free_running(self.mllm, head, prompt, count)

    def text_logits(
        self, questions: list[str], answers: list[str], frames: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Eq. 2's (logits [B, K, V], labels [B, K]), aligned: logits[:, k] predicts labels[:, k]; −100
        elsewhere.

        Only the K last positions, which hold every answer, meet the text head. An answer may be a marker such
        as `<BOV>`, which teaches the head to tell generation from understanding. frames [B, F, 3, H, W].
        """
        hidden, labels = self.answer_states(questions, answers, frames)
        return self.text_head(hidden), labels

    def answer_states(
        self, questions: list[str], answers: list[str], frames: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """What the text head reads in `text_logits`: hidden states [B, K, D], with the labels [B, K]."""
        endings = [answer_ids(self.tokenizer, answer) for answer in answers]
        whole = self._read(questions, endings, frames)
        hidden = self.mllm(whole.embeds, whole.mask, positions=whole.positions)
        width = max(len(ending) for ending in endings)
        labels = [[UNLABELLED] * (width - len(ending)) + ending for ending in endings]
        return hidden[:, -width - 1 : -1], torch.tensor(labels, device=hidden.device)

    def question_prompt(self, questions: list[str], frames: Tensor | None = None) -> Reading:
        """Questions about frames [B, F, 3, H, W], ready for answers to be written."""
        return self._read(questions, [[]] * len(questions), frames)

    def visual_prompt(
        self,
        prompts: list[str],
        kind: MediaKind,
        frames: Tensor | None = None,
        present: Tensor | None = None,
        head: Any = None,
    ) -> Reading:
        """Requests that end in <BOI> or <BOV>, ready for visual tokens; samples `present` [B] show frames."""
        shown = [frames is not None] * len(prompts)
        has = shown if frames is None or present is None else [bool(one) for one in present.tolist()]
        asked = [(EDIT if edits else GENERATE)[kind] for edits in has]
        contents = [form.format(prompt=clean(prompt)) for form, prompt in zip(asked, prompts, strict=True)]
        opener = marker_id(self.tokenizer, OPENERS[kind])
        prompt = self._read(contents, [[opener]] * len(prompts), frames, has)
        speaker = self.vision_head if head is None else head
        start = speaker.start[0 if kind == "image" else 1].to(prompt.embeds.dtype)
        marked = prompt.embeds + F.pad(start.view(1, 1, -1), (0, 0, prompt.embeds.shape[1] - 1, 0))
        return prompt._replace(embeds=marked)

    def _read(
        self,
        texts: list[str],
        endings: list[list[int]],
        frames: Tensor | None,
        present: list[bool] | None = None,
    ) -> Reading:
        shown = None if frames is None else evenly_spaced(frames, self.config.mllm.max_frames)
        contents = [clean(text) for text in texts]
        return read(self.mllm, self.vision_tower, self.tokenizer, contents, endings, shown, present)

    # --- the adapter and the decoder

    def plan(self, num_visual: int, source_latents: Tensor | None = None) -> ConditionPlan:
        """How many tokens of each kind the condition will have under `condition_budget`. Raises
        InputError.
        """
        grid = None if source_latents is None else self.adapter.source_grid(source_latents)
        return plan_condition(
            num_visual, grid, self.config.text_encoder.max_tokens, self.config.condition_budget
        )

    def condition(
        self,
        visual: Tensor,
        text_emb: Tensor,
        text_mask: Tensor,
        source_latents: Tensor | None = None,
        source_mask: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """c = [v ‖ h ‖ t] [B, S, text_dim] and its mask [B, S] (false: never attended).

        visual [B, N, Dv], text_emb [B, L, text_dim], text_mask [B, L], source_latents [B, z, t, h, w] for
        edits, source_mask [B] true where a sample of a mixed batch has a source. v comes first, `plan(N,
        source)` long.
        """
        plan = self.plan(visual.shape[1], source_latents)
        result: tuple[Tensor, Tensor] = self.adapter(
            visual, text_emb, text_mask, source_latents, source_mask, plan
        )
        return result

    def velocity(self, x_t: Tensor, t: Tensor, condition: Tensor, mask: Tensor | None = None) -> Tensor:
        """V_θ(X_t, Q, t) of Eq. 4, float32, in the paper's direction (data − noise), for times t [B] in [0,
        1].
        """
        return -self.predict_flow(x_t, wan_timestep(t), condition, mask)

    def predict_flow(
        self, x_t: Tensor, timestep: Tensor, condition: Tensor, mask: Tensor | None = None
    ) -> Tensor:
        """Wan's own output (noise − data), float32, at its timesteps [B] in [0, 1000]."""
        set_condition_mask(self.dit, mask)
        dtype = self.dit.patch_embedding.weight.dtype
        out: Tensor = self.dit(
            hidden_states=x_t.to(dtype),
            timestep=timestep.to(x_t.device),
            encoder_hidden_states=condition.to(dtype),
            return_dict=False,
        )[0]
        return out.float()
