"""VILA's shape: a SigLIP tower, a projector and a language model that learn to answer and to rewrite."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from omnivideo.losses import UNLABELLED
from omnivideo.prompts import MEDIA, REWRITE, answer_ids, chat_ids, left_padded
from omnivideo.shapes.palette import COLORS, KINDS, held_out
from omnivideo.shapes.questions import ask, fact, indirect
from omnivideo.shapes.sampling import generator, sample_scene
from omnivideo.shapes.scene import Scene
from omnivideo.shapes.words import caption, detailed
from omnivideo.vision_tower import evenly_spaced
from training.backbones.autoencoder import pixels
from training.backbones.config import ReaderSection
from training.backbones.fitting import Batch
from training.backbones.world import World
from training.data.samples import DESCRIBE

if TYPE_CHECKING:
    from omnivideo.mllm import Mllm, TextHead
    from omnivideo.vision_tower import VisionTower

ALL_QUESTIONS = 8
REWRITES = 4000
FACT_SHARE, INDIRECT_SHARE = 0.1, 0.5
CHECKED, AT_ONCE = 8, 32  # questions of a scene, and scenes, in the report
Turn = tuple[str, str]


class Reader(nn.Module):
    """The parts that read, together."""

    def __init__(self, tower: VisionTower, mllm: Mllm, text_head: TextHead) -> None:
        super().__init__()
        self.tower, self.mllm, self.text_head = tower, mllm, text_head

    def forward(self, frames: Tensor | None, ids: Tensor, mask: Tensor, repeats: int) -> Tensor:
        """Logits [B·repeats, L, V] of ids about frames [B, F, 3, H, W], `repeats` rows for each clip.

        As `Mllm.embed` and its forward, without what waits for the device.
        """
        media = ids == MEDIA
        embeds = self.mllm.body.embed_tokens(ids.masked_fill(media, 0))
        if frames is not None:
            seen = self.mllm.projector(self.mllm.look(frames, self.tower).features)
            clips = seen.reshape(len(frames), -1, seen.shape[-1]).repeat_interleave(repeats, dim=0)
            place = (media.long().cumsum(dim=1) - 1).clamp(min=0)
            features = clips.gather(1, place.unsqueeze(-1).expand(-1, -1, clips.shape[-1]))
            embeds = torch.where(media.unsqueeze(-1), features.to(embeds.dtype), embeds)
        positions = (mask.long().cumsum(dim=1) - 1).clamp(min=0)
        hidden = self.mllm(embeds, _causal(mask), positions=positions)
        logits: Tensor = self.text_head(hidden)
        return logits


def _causal(mask: Tensor) -> Tensor:
    """What each place may see, [B, 1, L, L]: itself, and real places before it."""
    length = mask.shape[1]
    before = torch.ones(length, length, dtype=torch.bool, device=mask.device).tril()
    itself = torch.eye(length, dtype=torch.bool, device=mask.device)
    return ((before & mask[:, None, :]) | itself)[:, None]


class ReaderLesson:
    """Some questions about each scene at once; beside them requests to rewrite, without a picture."""

    def __init__(
        self,
        reader: Reader,
        tokenizer: Any,
        settings: ReaderSection,
        worlds: list[World],
        unseen: list[World],
        device: torch.device,
        max_frames: int,
    ) -> None:
        self.module: nn.Module = reader.to(device)
        self._reader, self._settings, self._device = reader, settings, device
        words = _Words(tokenizer, _places(reader))
        self._decks = [_Deck(world, words, max_frames, device) for world in worlds]
        self._unseen = [_Deck(world, words, max_frames, device) for world in unseen]
        self._plain = _Table(words, [[turn] for turn in rewriting()])

    def draw(self, random: torch.Generator, batch: int, progress: float) -> Batch:
        """Return images, videos and words alone, each with their questions."""
        inputs: list[Tensor] = []
        for deck in self._decks:
            few = max(1, batch // deck.frames.shape[1])
            scenes = torch.randint(len(deck.table), (few,), generator=random)
            rows = scenes[:, None].expand(-1, self._settings.questions)
            inputs += [deck.shown(scenes), *self._on(*deck.table.rows(rows, random))]
        some = torch.randint(len(self._plain), (max(1, batch // 2),), generator=random)
        inputs += self._on(*self._plain.rows(some[:, None], random))
        return Batch("all", tuple(inputs))

    def loss(self, kind: str, *inputs: Tensor) -> Tensor:
        """Return Eq. 2 summed over images, videos and words alone."""
        *decks, plain = [inputs[start : start + 4] for start in range(0, len(inputs), 4)]
        ids, mask, labels = plain
        parts = [_cross_entropy(self._reader(None, ids, mask, 1), labels)]
        for frames, ids, mask, labels in decks:
            logits = self._reader(_clips(frames), ids, mask, self._settings.questions)
            parts.append(_cross_entropy(logits, labels))
        return torch.stack(parts).sum()

    @torch.no_grad()
    def report(self) -> dict[str, float]:
        """Return the share of right answers about unseen scenes, and of right rewrites: each token the
        likeliest.
        """
        figures = {}
        for deck in self._unseen:
            right = total = 0
            for start in range(0, len(deck.table), AT_ONCE):
                scenes = torch.arange(start, min(start + AT_ONCE, len(deck.table)))
                index = scenes[:, None].expand(-1, CHECKED)
                ids, mask, labels = deck.table.rows(
                    index, torch.Generator().manual_seed(0), descriptions=False
                )
                logits = self._reader(_clips(deck.shown(scenes)), *self._on(ids, mask), CHECKED)
                found = _right(logits.cpu(), labels)
                right, total = right + int(found.sum()), total + len(found)
            figures[f"{deck.kind}_answers"] = right / total
        rows = torch.arange(min(512, len(self._plain)))[:, None]
        ids, mask, labels = self._plain.rows(rows, torch.Generator().manual_seed(0))
        logits = self._reader(None, *self._on(ids, mask), 1)
        return {**figures, "rewrites": float(_right(logits.cpu(), labels).float().mean())}

    def _on(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        return tuple(tensor.to(self._device) for tensor in tensors)


class _Words:
    """Turns as token ids; the same question is tokenised once."""

    def __init__(self, tokenizer: Any, places: int) -> None:
        self.tokenizer, self._places = tokenizer, places
        self.asked = cache(self._asked)
        self.said = cache(lambda answer: answer_ids(tokenizer, answer))

    def _asked(self, question: str, frames: int) -> list[int]:
        return chat_ids(self.tokenizer, question, [[MEDIA] * self._places] * frames)


class _Table:
    """Turns of many scenes as rows of token ids, left-padded, with labels where the answers are."""

    def __init__(self, words: _Words, turns: Sequence[Sequence[Turn]], frames: int = 0) -> None:
        rows, answers = [], []
        starts = [0]
        for some in turns:
            for question, answer in some:
                said = words.said(answer)
                rows.append([*words.asked(question, frames), *said])
                answers.append(len(said))
            starts.append(len(rows))
        batch = left_padded(rows, words.tokenizer.pad_token_id, torch.device("cpu"))
        self._ids, self._mask = batch.ids, batch.mask
        self._starts, self._answers = torch.tensor(starts), torch.tensor(answers)

    def __len__(self) -> int:
        return len(self._starts) - 1

    def rows(
        self, scenes: Tensor, random: torch.Generator, descriptions: bool = True
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Draw a turn for each place of scenes [B, Q]: ids, mask and labels [B·Q, L]. A scene's last turn
        describes it.
        """
        first, after = self._starts[scenes.flatten()], self._starts[scenes.flatten() + 1]
        count = (after - first - (0 if descriptions else 1)).clamp(min=1)
        row = first + (torch.rand(len(first), generator=random) * count).long()
        ids, mask, width = self._ids[row], self._mask[row], self._ids.shape[1]
        place = torch.arange(width) >= width - self._answers[row, None]
        return ids, mask, torch.where(place, ids, UNLABELLED)


class _Deck:
    """A world with what is asked about it."""

    def __init__(self, world: World, words: _Words, max_frames: int, device: torch.device) -> None:
        shown = evenly_spaced(torch.from_numpy(world.frames), max_frames)
        self.kind, self.frames, self._device = world.view.kind, shown.to(device), device
        turns = [_turns(scene, number, world) for number, scene in enumerate(world.scenes)]
        self.table = _Table(words, turns, shown.shape[1])

    def shown(self, scenes: Tensor) -> Tensor:
        """Frames [B, F, H, W, 3], uint8."""
        return self.frames[scenes.to(self.frames.device)]


def _clips(frames: Tensor) -> Tensor:
    """uint8 [B, F, H, W, 3] -> [B, F, 3, H, W] in [-1, 1]."""
    return pixels(frames).transpose(1, 2)


def _turns(scene: Scene, number: int, world: World) -> list[Turn]:
    view = world.view
    rng, moving = generator("turns", view.purpose, view.seed, view.kind, number), view.num_frames > 1
    in_order = replace(scene, things=tuple(sorted(scene.things, key=lambda one: (one.x, one.y))))
    return [*ask(scene, rng, moving, ALL_QUESTIONS), (DESCRIBE[view.kind], detailed(in_order, moving))]


def rewriting(count: int = REWRITES) -> Iterator[Turn]:
    """Requests to rewrite, and facts. What is told by an example is told plainly; what is plain stays."""
    for number in range(count):
        rng = generator("rewriting", number)
        moving = rng.random() < 0.5
        medium = "a video" if moving else "an image"
        if rng.random() < FACT_SHARE:
            yield fact(rng.choice(list(COLORS)), rng)
        elif rng.random() < INDIRECT_SHARE:
            looks = [(kind, color) for kind in KINDS for color in COLORS if not held_out(kind, color)]
            asked, plainly = indirect(*rng.choice(looks), rng, rng.choice((1, 1, 1, 2, 3, 4)))
            yield REWRITE.format(medium=medium, prompt=asked), plainly
        else:
            told = caption(sample_scene(rng, "train", moving), rng, moving)
            yield REWRITE.format(medium=medium, prompt=told), told


def _places(reader: Reader) -> int:
    tower = reader.tower.understanding.config
    side: int = -(-(tower.image_size // tower.patch_size) // 2)
    return side**2


def _cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    return F.cross_entropy(
        logits[:, :-1].float().flatten(0, 1), labels[:, 1:].flatten(), ignore_index=UNLABELLED
    )


def _right(logits: Tensor, labels: Tensor) -> Tensor:
    """Which rows [B] have each label as the likeliest token."""
    said, wanted = logits[:, :-1].argmax(dim=-1), labels[:, 1:]
    return ((said == wanted) | (wanted == UNLABELLED)).all(dim=1)
