"""Judged clips on their way out, some at a time: a long film that is killed need not start over."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic

from curation.media.records import ClipRecord

EVERY_SECONDS = 5.0  # a message and a file on disk each: too seldom to cost anything


class Delivery:
    """Collects clips; hands them to `take` each `every_seconds`, and has the rest at the end."""

    def __init__(
        self,
        take: Callable[[list[ClipRecord]], None] | None = None,
        every_seconds: float = EVERY_SECONDS,
    ) -> None:
        self.rest: list[ClipRecord] = []
        self._take = take
        self._every = every_seconds
        self._taken = monotonic()

    def add(self, clip: ClipRecord) -> None:
        """One more clip is judged."""
        self.rest.append(clip)
        if self._take and monotonic() - self._taken >= self._every:
            self._take(self.rest)
            self.rest, self._taken = [], monotonic()
