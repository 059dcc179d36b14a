"""Asking a model for captions, checking what it says, and asking again: a queue, not a loop for each clip."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import NamedTuple, Protocol

from curation.caption import checks
from curation.caption.config import ChecksConfig

SEEDS = 2**31


class Ask(NamedTuple):
    """One window of one clip, to be described."""

    sample_id: str
    window: int
    prompt: str
    frames: list[bytes]  # JPEG
    seen_text: str = ""  # what can be read in the frames
    seed: int = 0
    temperature: float = 0.0  # 0: greedy


class Failure(NamedTuple):
    """Why there is no text: a stable slug and what was seen."""

    reason: str
    detail: str


class Written(NamedTuple):
    """What became of one window."""

    text: str | None
    failure: Failure | None
    attempts: int


class Writer(Protocol):
    """A model that looks at frames."""

    name: str  # the `captioner` column

    def answer(self, asks: Sequence[Ask]) -> list[str | Failure]:
        """What the model says to each, in order. Raises InputError if it cannot work at all."""
        ...


def ask_all(writer: Writer, asks: Sequence[Ask], config: ChecksConfig) -> list[Written]:
    """Answers that pass the checks, in order; each of the others was asked for `config.attempts` times.

    What the writer itself gave up on (an endpoint that does not answer) is not asked again: it has retried.
    """
    written: dict[int, Written] = {}
    queue = list(range(len(asks)))
    for attempt in range(config.attempts):
        turned = [_again(asks[index], attempt, config) for index in queue]
        for index, ask, answer in zip(queue, turned, writer.answer(turned), strict=True):
            written[index] = _checked(ask, answer, attempt + 1, config)
        queue = [index for index in queue if _may_repeat(written[index])]
        if not queue:
            break
    return [written[index] for index in range(len(asks))]


def _again(ask: Ask, attempt: int, config: ChecksConfig) -> Ask:
    """The ask with a seed of its own for each attempt; the first is greedy."""
    key = f"{ask.sample_id}:{ask.window}:{attempt}".encode()
    seed = int.from_bytes(hashlib.sha256(key).digest()[:8], "big") % SEEDS
    return ask._replace(seed=seed, temperature=config.retry_temperature if attempt else 0.0)


def _checked(ask: Ask, answer: str | Failure, attempts: int, config: ChecksConfig) -> Written:
    if isinstance(answer, Failure):
        return Written(None, answer, attempts)
    text = checks.whole_sentences(checks.clean(answer), config.min_words)
    reason = checks.problem(text, ask.prompt, ask.seen_text, config)
    if reason:
        return Written(None, Failure(reason, f"after {attempts} attempts: {text[:200]!r}"), attempts)
    return Written(text, None, attempts)


def _may_repeat(written: Written) -> bool:
    return written.failure is not None and written.failure.reason not in GIVEN_UP


GIVEN_UP = frozenset(("timeout", "rate_limited", "server_error", "bad_request", "bad_answer"))
