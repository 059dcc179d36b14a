from __future__ import annotations

import torch

from training.encoding.cache import Cache


def test_the_longest_unused_is_forgotten_first() -> None:
    """Room is counted in bytes; what is used again stays."""
    memory, made = Cache(1), []

    def make(name: str) -> dict[str, torch.Tensor]:
        made.append(name)
        return {"x": torch.zeros(100_000)}  # 0.4 MB

    for name in ("a", "b", "a", "c", "a", "b"):
        memory.get((name,), lambda name=name: make(name))
    assert made == ["a", "b", "c", "b"]
    assert ("c",) not in memory


def test_what_does_not_fit_is_made_each_time() -> None:
    """No room means no memory, not an error."""
    memory = Cache(0)
    assert torch.equal(memory.get(("a",), lambda: {"x": torch.ones(2)})["x"], torch.ones(2))
    assert ("a",) not in memory
