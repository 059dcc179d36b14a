"""Text out of the MLLM: sampling one token after another with a key-value cache."""

from __future__ import annotations

import torch
from torch import Tensor

from omnivideo.mllm import TextHead
from omnivideo.reading import LanguageModel, Reading
from omnivideo.stepping import begin


@torch.no_grad()
def write(
    mllm: LanguageModel,
    head: TextHead,
    prompt: Reading,
    stop_ids: tuple[int, ...],
    *,
    banned: tuple[int, ...] = (),
    max_new_tokens: int,
    temperature: float,
    top_p: float,
    generator: torch.Generator | None = None,
) -> list[list[int]]:
    """Continue prompts until one of `stop_ids`; returns each answer's ids without it.

    temperature 0 takes the likeliest token. `banned` ids are never written.
    """
    hidden, step = begin(mllm, prompt, max_new_tokens)
    alive = [True] * len(prompt.embeds)
    answers: list[list[int]] = [[] for _ in alive]
    for _ in range(max_new_tokens):
        logits = head(hidden)[:, 0].float()
        logits[:, list(banned)] = -torch.inf
        ids = choose(logits, temperature, top_p, generator)
        for row, token in enumerate(ids.tolist()):
            alive[row] = alive[row] and token not in stop_ids
            if alive[row]:
                answers[row].append(token)
        if not any(alive):
            break
        hidden = step(mllm.embed(ids.unsqueeze(1)))
    return answers


def choose(logits: Tensor, temperature: float, top_p: float, generator: torch.Generator | None) -> Tensor:
    """Draw ids [B] from logits [B, V] by nucleus sampling: the fewest likeliest tokens that hold `top_p`."""
    if temperature == 0:
        return logits.argmax(dim=-1)
    probabilities, order = (logits / temperature).softmax(dim=-1).sort(dim=-1, descending=True)
    before = probabilities.cumsum(dim=-1) - probabilities
    kept = probabilities.masked_fill(before >= top_p, 0.0)
    if generator is not None and generator.device != kept.device:
        kept, order = kept.to(generator.device), order.to(generator.device)
    drawn = torch.multinomial(kept, 1, generator=generator)
    return order.gather(1, drawn)[:, 0].to(logits.device)
