"""Wan's text-to-video transformer and its text encoder, learning Eq. 4 on latents of the world of shapes."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from omnivideo.decoder import denormalise, normalise
from omnivideo.evaluation import prompts
from omnivideo.evaluation.shapes_judge import judge_frames
from omnivideo.flow import interpolate, sample_time, velocity_target, wan_timestep
from omnivideo.frames import to_uint8
from omnivideo.shapes.sampling import generator
from omnivideo.shapes.words import caption
from training.backbones.autoencoder import in_parts, normal, pixels
from training.backbones.config import PainterSection
from training.backbones.fitting import Batch
from training.backbones.world import World
from training.model.precision import keep_float32

STEPS = 20  # of the report's samples
CATEGORIES = ("colors", "two_object", "position", "color_attr", "motion")


class Painter(nn.Module):
    """The parts that paint, together."""

    def __init__(self, text_encoder: Any, dit: Any) -> None:
        super().__init__()
        self.text_encoder, self.dit = text_encoder, dit
        keep_float32(dit)

    def forward(self, latents: Tensor, time: Tensor, ids: Tensor, mask: Tensor) -> Tensor:
        """Velocity of latents [B, z, t, h, w] at times [B] by words [B, L]: zeros past their end, attended as
        Wan has it.
        """
        words = self.text_encoder(ids, mask).last_hidden_state * mask.unsqueeze(-1)
        flow = self.dit(
            hidden_states=latents,
            timestep=wan_timestep(time),
            encoder_hidden_states=words,
            return_dict=False,
        )[0]
        velocity: Tensor = -flow.float()
        return velocity


class PainterLesson:
    """Images and videos in turn, each by one of its captions or by none."""

    def __init__(
        self,
        painter: Painter,
        vae: Any,
        tokenizer: Any,
        settings: PainterSection,
        worlds: list[World],
        device: torch.device,
        max_tokens: int,
        flow_shift: float,
        guidance: float,
    ) -> None:
        self.module: nn.Module = painter.to(device)
        self._painter, self._vae, self._device = painter, vae.to(device), device
        self._tokenizer, self._settings = tokenizer, settings
        self._max_tokens, self._shift, self._guidance = max_tokens, flow_shift, guidance
        self._size = worlds[0].view.size
        self._frames = [world.view.num_frames for world in worlds]
        self._latents = [self._encoded(world) for world in worlds]
        self._words = [self._captions(world) for world in worlds]
        self._nothing = self._tokens([""])

    def draw(self, random: torch.Generator, batch: int, progress: float) -> Batch:
        """Return latents of images or of videos, each half of the time, with noise, times and words."""
        settings = self._settings
        which = int(torch.randint(len(self._latents), (), generator=random))
        latents = self._latents[which]
        few = max(1, batch if which == 0 else batch // 2)
        chosen = torch.randint(len(latents), (few,), generator=random)
        number = torch.randint(settings.captions, (few,), generator=random)
        dropped = torch.rand(few, generator=random) < settings.caption_dropout
        time = sample_time((few,), random, self._shift, settings.time_distribution).to(self._device)
        x1 = latents[chosen.to(self._device)]
        x0 = normal(x1.shape, random, self._device)
        ids = self._words[which][chosen, number].long()
        ids[dropped] = self._nothing
        return Batch(str(which), (x1, x0, time, *self._masked(ids)))

    def loss(self, kind: str, *inputs: Tensor) -> Tensor:
        """Return Eq. 4."""
        x1, x0, time, ids, mask = inputs
        velocity = self._painter(interpolate(x1, x0, time), time, ids, mask)
        loss: Tensor = (velocity - velocity_target(x1, x0)).pow(2).mean()
        return loss

    @torch.no_grad()
    def report(self) -> dict[str, float]:
        """Return the share of prompts of some categories that one sample each fulfils."""
        figures = {}
        for tag in CATEGORIES if len(self._frames) > 1 else CATEGORIES[:1]:
            claims = prompts.of_category(tag)
            num_frames = self._frames[-1] if tag == "motion" else 1
            clips = self.paint([one["prompt"] for one in claims], num_frames)
            right = [judge_frames(*pair).correct for pair in zip(claims, clips, strict=True)]
            figures[tag] = sum(right) / len(right)
        return figures

    @torch.no_grad()
    def paint(self, told: list[str], num_frames: int) -> Any:
        """uint8 [B, T, H, W, 3] of prompts, by Euler steps with guidance."""
        shape = (len(told), 16, (num_frames - 1) // 4 + 1, self._size // 8, self._size // 8)
        x = torch.randn(shape, generator=torch.Generator().manual_seed(0)).to(self._device)
        ids, mask = self._masked(torch.cat([self._nothing.expand(len(told), -1), self._tokens(told)]))
        sigmas = torch.linspace(1, 0, STEPS + 1)
        sigmas = self._shift * sigmas / (1 + (self._shift - 1) * sigmas)
        for now, after in pairwise(sigmas):
            time = torch.full((2 * len(told),), 1 - float(now), device=self._device)
            nothing, something = self._painter(x.repeat(2, 1, 1, 1, 1), time, ids, mask).chunk(2)
            x = x + float(now - after) * (nothing + self._guidance * (something - nothing))
        return to_uint8(self._vae.decode(denormalise(self._vae, x)).sample)

    @torch.no_grad()
    def _encoded(self, world: World) -> Tensor:
        parts = []
        for part in in_parts(torch.from_numpy(world.frames)):
            mode = self._vae.encode(pixels(part.to(self._device))).latent_dist.mode()
            parts.append(normalise(self._vae, mode.float()))
        return torch.cat(parts)

    def _captions(self, world: World) -> Tensor:
        """Token ids [N, captions, L]."""
        view, told = world.view, []
        form = (view.num_frames > 1, view.simple)
        for number, scene in enumerate(world.scenes):
            rng = generator("captions", view.seed, view.kind, number)
            told += [caption(scene, rng, *form) for _ in range(self._settings.captions)]
        places = {words: place for place, words in enumerate(dict.fromkeys(told))}
        ids = self._tokens(list(places)).to(torch.int16)  # many are told more than once
        return ids[[places[words] for words in told]].view(len(world.scenes), self._settings.captions, -1)

    def _tokens(self, told: list[str]) -> Tensor:
        ids: Tensor = self._tokenizer(
            told, padding="max_length", max_length=self._max_tokens, truncation=True, return_tensors="pt"
        ).input_ids
        return ids

    def _masked(self, ids: Tensor) -> tuple[Tensor, Tensor]:
        ids = ids.to(self._device)
        return ids, ids != self._tokenizer.pad_token_id
