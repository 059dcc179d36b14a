"""A sign of life during long work.

A film of two hours takes longer to decode than any limit that would catch a hang early. The limit is on
silence: decoding beats once a frame, and whoever watches is told now and then.
"""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic

_told = 0.0
_every = 0.0
_tell: Callable[[], None] | None = None


def watch(tell: Callable[[], None] | None, every_seconds: float) -> None:
    """Call `tell` on the first beat after each `every_seconds`; None ends that."""
    global _tell, _every, _told
    _tell, _every, _told = tell, every_seconds, monotonic()


def beat() -> None:
    """One more frame is decoded."""
    global _told
    if _tell is not None and monotonic() - _told >= _every:
        _told = monotonic()
        _tell()
