"""What a tokenizer said of the same words before: trained on again and again, they are not cut up anew."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from functools import wraps
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

Said = TypeVar("Said")
MOST = 2**15
"""Answers for one tokenizer: of texts as long as captions, some dozen megabytes."""


def remembered(ask: Callable[..., Said]) -> Callable[..., Said]:
    """Let `ask(tokenizer, *words)` answer from memory, as long as the tokenizer lives and is not changed.

    The answer must not be changed either: it is the same object each time.
    """
    memory: WeakKeyDictionary[Any, dict[Hashable, Said]] = WeakKeyDictionary()

    @wraps(ask)
    def remember(tokenizer: Any, *words: Hashable) -> Said:
        said = memory.setdefault(tokenizer, {})
        key = (len(tokenizer), tokenizer.chat_template, words)  # markers and templates come in later
        if key not in said:
            if len(said) >= MOST:
                said.clear()
            said[key] = ask(tokenizer, *words)
        return said[key]

    return remember
